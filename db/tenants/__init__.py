"""Tenants, their sale settings, and pauses."""
