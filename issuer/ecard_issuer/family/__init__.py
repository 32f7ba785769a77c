"""Family e-cards (亲情服务): a holder shows the e-cards of relatives, with their consent."""
