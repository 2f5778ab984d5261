"""The one door to AWS for every command: sessions, and what is read of images."""
