"""Marketplace sync: where products of the programme are sold online."""
