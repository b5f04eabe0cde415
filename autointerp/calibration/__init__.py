"""Questions of known truth that measure a judge."""
