"""What the page asks to be done, and what is shown of it; no component of the page is known here."""
