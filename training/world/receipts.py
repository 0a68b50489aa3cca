"""Small shop receipts: items with prices and their total."""

from PIL import ImageDraw

from training.world.catalog import NUMBERS
from training.world.lettering import choose, dressed
from training.world.printed import MIN_FONT_PX, paper
from training.world.sample import Turn, spelled
from training.world.scenes import still

ITEMS = [
    "milk",
    "bread",
    "butter",
    "cheese",
    "eggs",
    "coffee",
    "tea",
    "sugar",
    "apples",
    "bananas",
    "oranges",
    "rice",
    "pasta",
    "tomatoes",
    "onions",
    "soap",
    "paper",
    "juice",
    "water",
    "cookies",
    "chocolate",
    "yogurt",
    "chicken",
    "fish",
    "salt",
    "honey",
    "soup",
    "pizza",
    "salad",
    "candles",
    "pens",
    "notebook",
    "batteries",
    "shampoo",
    "towel",
    "cable",
    "lamp",
    "socks",
]
SHOPS = [
    "CITY MARKET",
    "Corner Shop",
    "GREEN FOODS",
    "Cafe Luna",
    "BOOK HOUSE",
    "Mini Mart",
    "THE BAKERY",
    "Super Store",
    "Sunny Kiosk",
    "FRESH & CO",
    "Blue Cafe",
    "Tool World",
]


def receipt_sample(world):
    """(picture, turns)"""
    rng, say, brush = world.rng, world.speaker.ask, world.brush
    width, height = brush.size(low=70_000)
    image, _, _, _, color = paper(world, width, height)
    items = rng.sample(ITEMS, rng.randint(2, 4))
    if rng.random() < 0.5:
        items = [item.capitalize() for item in items]
    prices = [round(rng.uniform(0.5, 30), 2) if rng.random() < 0.8 else float(rng.randint(1, 40)) for _ in items]
    currency = rng.choice(["", "", "$", "€"])
    rows = [(item, f"{currency}{price:.2f}") for item, price in zip(items, prices, strict=True)]
    rows.append((rng.choice(["Total", "TOTAL", "Sum"]), f"{currency}{sum(prices):.2f}"))
    shop = rng.choice(SHOPS) if rng.random() < 0.6 else None
    letters = _draw(world, image, shop, rows, color)
    picture = still(brush.camera(image), [], letters)
    full = "\n".join(([shop] if shop else []) + [f"{item} {price}" for item, price in rows])
    read = Turn(say("read"), spelled(full), "read_receipt", text=full)
    return picture, [read, *rng.sample(_questions(rng, say, items, prices, rows, shop), rng.choice([2, 3, 4]))]


def _draw(world, image, shop, rows, color):
    """Prints the receipt; returns its letters."""
    rng, brush, draw = world.rng, world.brush, ImageDraw.Draw(image)
    width, height = image.size
    name = rng.choice(world.assets.font_names)
    size = max(MIN_FONT_PX, min(int(height / (len(rows) + 3)), int(width / 13), 34))
    style = choose(world)
    if style and rng.random() < 0.35:  # ten short lines: the dearest pictures to vary
        style = None
    if style:
        style.angle, style.slant = 0.0, style.slant / 2  # columns stay upright
    font = dressed(world.assets.font(name, size), style)
    pitch = int(size * rng.uniform(1.2, 1.45))
    count = len(rows) + bool(shop)
    if count * pitch > height - 8:
        pitch = int((height - 8) / count)
    y = rng.randint(4, max(4, height - count * pitch - 6))
    column = min(width - 20, max(int(size * rng.uniform(9, 13)), int(font.getlength("chocolate $100.00")) + 8))
    left = rng.randint(8, max(8, width - column - 8))
    letters = []
    if shop:
        letters += brush.write(draw, (left + column / 2, y), shop, font, color, "ma")
        y += pitch
    for i, (item, price) in enumerate(rows):
        if i == len(rows) - 1 and rng.random() < 0.5:
            draw.line((left, y, left + column, y), fill=color, width=1)
        letters += brush.write(draw, (left, y), item, font, color)
        letters += brush.write(draw, (left + column, y), price, font, color, "ra")
        y += pitch
    return letters


def _questions(rng, say, items, prices, rows, shop):
    total = rows[-1][1]
    i = rng.randrange(len(items))
    best = max(range(len(items)), key=prices.__getitem__)
    number = NUMBERS[len(items)]
    turns = [
        Turn(say("total"), f"The total is {total}.", "total"),
        Turn(say("price", name=items[i].lower()), f"The price of {items[i].lower()} is {rows[i][1]}.", "price"),
        Turn(say("n_items"), f"There are {number} items.", "n_items"),
        Turn(
            say("describe"),
            f"The image shows a receipt with {number} items and a total of {total}.",
            "describe_receipt",
        ),
        Turn(say("dearest"), f"The most expensive item is {items[best].lower()} at {rows[best][1]}.", "dearest"),
    ]
    if shop:
        turns.append(Turn(say("shop"), f"The shop is {spelled(shop)}.", "shop"))
    return turns
