"""Settings."""


class Default:
    SECRET_KEY = "dev"
    SITE_NAME = "Recipes"
    MAX_CONTENT_LENGTH = 1024 * 1024
    PER_PAGE = 5
