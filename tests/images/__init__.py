"""Tests that push and pull real images."""
