"""The audit script: rendered, read back, and tried before it is uploaded."""
