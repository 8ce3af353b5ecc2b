"""Notifications: tells a province by mail what it must act on."""
