from tests.support.browser import chromium, phone, show

__all__ = ["chromium", "phone", "show"]
