"""What a run is, one flow per file: publish, promote, casks, status. Read here first."""
