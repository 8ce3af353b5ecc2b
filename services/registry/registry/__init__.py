"""Registry: owners (chủ thể) and products (sản phẩm), as the provinces state them."""
