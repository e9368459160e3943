"""The same small application, once for each interface.

/           "Hello, World!", text/plain
/items/42   {"id": 42, "name": "Item 42", "tags": [...], "price": 19.99}, application/json
/sleep      hello after 10 ms in a blocking call
/mixed      hello; every thousandth request after 100 ms in a blocking call
"""
