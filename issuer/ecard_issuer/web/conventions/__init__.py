"""What routes for partners share: repeating safely, pages, quotas, deprecation, and the description of all that."""
