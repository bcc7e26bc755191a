"""From the bytes of a page to its blocks, and from those to Markdown. Nothing here knows tables or tasks."""
