"""What other programs would have printed; nothing that scores imports it."""
