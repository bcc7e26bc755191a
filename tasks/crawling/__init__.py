"""From seeds to stored pages: frontier, polite fetching in a child process, and the site served for a demo."""
