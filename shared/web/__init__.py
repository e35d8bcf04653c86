"""HTTP: what a request must look like, who makes it, and how an answer or a failure is written."""
