"""From an installer and some names to Custom Apps: targets, matching, the plan, and carrying it out."""
