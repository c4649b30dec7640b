"""What ``make up`` has to look at from its first start on, and what it does for whoever takes the tour of the README.

Nothing of it is in the production image: neither the history and the golden case that are loaded here, nor the button
that fills in a workbook.
"""
