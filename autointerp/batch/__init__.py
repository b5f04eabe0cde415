"""Files of questions that an endpoint answers as a batch job."""
