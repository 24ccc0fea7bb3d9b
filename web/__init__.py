"""The web: requests and answers over HTTP, the API's doors, middleware. What every page and router
stands on.
"""
