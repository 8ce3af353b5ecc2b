"""Notifications: what provinces are told by mail."""
