"""Who may charge: id tags and their groups."""
