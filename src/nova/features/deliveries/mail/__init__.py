"""Mails as their readers see them: templates of the app, and Nova's own."""
