"""A person behind the Client protocol: the questions, what was said so far, and the page on which they are answered."""
