"""Firebase Cloud Messaging, HTTP v1, with a service account as credentials."""
