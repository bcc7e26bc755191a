"""What runs on the accelerator: language models and encoders, behind two small interfaces.

Importing these modules is cheap: torch, vLLM and sentence-transformers are imported when a model is opened,
and nowhere outside this folder.
"""
