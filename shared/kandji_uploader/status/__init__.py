"""What the Macs report about each Custom App, as values, a summary and a page."""
