"""How each tool makes its picture, on top of the one sampling path. What the tools are: tools.py. Imports no torch."""
