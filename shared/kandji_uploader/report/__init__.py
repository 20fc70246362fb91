"""What is told after a run: text and Slack."""
