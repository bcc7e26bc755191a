"""A causal language model of a few thousand random weights, with a tokenizer and a chat template of its own."""

from pathlib import Path

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SENTENCES = (
    "Use one most important word to represent the passage in retrieval task.",
    "Make sure your word is in lowercase. The word is",
    "You are an AI assistant that can understand human language. Passage: Query: query",
    "Heaps keep the smallest item first. Sockets wait for a timeout. A sorted list is searched by bisection.",
)


def write_tiny_language_model(folder: Path, template: str = TEMPLATE, window: int = 512) -> Path:
    """Write the model as transformers keeps models; the same bytes of weights each time."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(SENTENCES, 400, show_progress=False, special_tokens=["<|im_start|>", "<|im_end|>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=trained._tokenizer, eos_token="<|im_end|>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    tokenizer.chat_template = template or None
    tokenizer.save_pretrained(folder)
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=window,
        initializer_range=0.3,  # wide enough for logits far from 0
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
