"""The far side: what gateways send is stored once, acknowledged, and its books are kept."""
