"""From the Markdown of a document to passages: units, sections and the packing of one into the other."""
