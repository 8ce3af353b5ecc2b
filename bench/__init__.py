"""How fast it is: measured on engines that keep what they acknowledge, beside the limit and a peer."""
