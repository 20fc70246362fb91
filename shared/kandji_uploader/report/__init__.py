"""The report after a run: text and Slack."""
