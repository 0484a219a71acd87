"""settlectl: as commands, and as the functions behind them."""
