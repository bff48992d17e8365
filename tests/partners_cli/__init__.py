"""The partner's folder, the HTTP client, the steps and the commands, against a small room in this process."""
