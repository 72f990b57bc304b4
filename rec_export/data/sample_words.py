"""The words of the made-up shop: categories, invented brands, styles, and how a title is put together."""

from typing import NamedTuple


class Category(NamedTuple):
    """A shelf of the shop. `peak` is the month in which it sells best, 0 where the season does not matter."""

    name: str
    price: float
    peak: int
    materials: tuple[str, ...]
    nouns: tuple[str, ...]


class Style(NamedTuple):
    """A hidden taste. The shop never names it, but it shows through in tags and in the adjectives of titles."""

    tags: tuple[str, ...]
    adjectives: tuple[str, ...]


CATEGORIES = (
    Category(
        "Coffee & Espresso", 49, 12, ("Steel", "Copper", "Glass"), ("Café Press", "Moka Pot", "Grinder", "Kettle")
    ),
    Category(
        "Tea & Infusions", 14, 11, ("Ceramic", "Glass", "Cast-Iron"), ("Teapot", "Infuser", "Tea Sampler", "Maté Cup")
    ),
    Category("Cookware", 65, 0, ("Cast-Iron", "Steel", "Copper"), ("Sauté Pan", "Stock Pot", "Wok", "Crêpe Pan")),
    Category(
        "Bakeware", 22, 12, ("Silicone", "Steel", "Stoneware"), ("Loaf Tin", "Soufflé Dish", "Baking Mat", "Cake Ring")
    ),
    Category(
        "Knives & Boards", 39, 0, ("Walnut", "Damask", "Bamboo"), ("Chef Knife", "Paring Knife", "Chopping Board")
    ),
    Category("Lighting", 58, 11, ("Brass", "Linen", "Smoked-Glass"), ("Desk Lamp", "Pendant", "Floor Lamp", "Lantern")),
    Category("Bedding", 72, 10, ("Linen", "Percale", "Wool"), ("Duvet Cover", "Pillow", "Throw", "Bed Sheet")),
    Category("Bath Textiles", 24, 0, ("Cotton", "Bamboo", "Waffle"), ("Towel Set", "Bath Mat", "Robe")),
    Category("Desks & Seating", 189, 9, ("Oak", "Mesh", "Birch"), ("Standing Desk", "Task Chair", "Stool", "Footrest")),
    Category(
        "Notebooks & Pens", 11, 9, ("Paper", "Leather", "Brass"), ("Notebook", "Fountain Pen", "Planner", "Pencil Set")
    ),
    Category("Headphones", 95, 11, ("Aluminium", "Leather", "Graphite"), ("Headphones", "Earbuds", "Headset")),
    Category(
        "Speakers", 120, 6, ("Walnut", "Fabric", "Aluminium"), ("Bookshelf Speaker", "Travel Speaker", "Soundbar")
    ),
    Category("Keyboards & Mice", 68, 0, ("Aluminium", "Resin", "Maple"), ("Keyboard", "Mouse", "Wrist Rest", "Numpad")),
    Category(
        "Camera Gear", 44, 5, ("Carbon", "Canvas", "Aluminium"), ("Tripod", "Camera Strap", "Lens Case", "Filter Kit")
    ),
    Category("Backpacks", 79, 8, ("Canvas", "Ripstop", "Leather"), ("Backpack", "Daypack", "Sling Bag", "Duffel")),
    Category(
        "Camping", 85, 6, ("Ripstop", "Titanium", "Aluminium"), ("Tent", "Camp Stove", "Sleeping Mat", "Mess Kit")
    ),
    Category("Cycling", 46, 5, ("Merino", "Carbon", "Rubber"), ("Helmet", "Handlebar Bag", "Bike Light", "Gloves")),
    Category("Running", 57, 4, ("Mesh", "Merino", "Nylon"), ("Trail Shoes", "Running Belt", "Windshell", "Socks")),
    Category("Yoga & Stretching", 34, 1, ("Cork", "Rubber", "Cotton"), ("Yoga Mat", "Block", "Strap", "Bolster")),
    Category("Garden Tools", 29, 4, ("Ash", "Steel", "Copper"), ("Secateurs", "Trowel", "Watering Can", "Rake")),
    Category(
        "Houseplants", 26, 5, ("Terracotta", "Stoneware", "Jute"), ("Planter", "Plant Stand", "Mister", "Hanging Pot")
    ),
    Category("Board Games", 36, 12, ("Card", "Wooden", "Linen"), ("Strategy Game", "Puzzle", "Party Game", "Dice Set")),
    Category(
        "Knitting & Sewing", 19, 10, ("Alpaca", "Birch", "Merino"), ("Yarn Bundle", "Needle Set", "Sewing Kit", "Loom")
    ),
    Category("Pet Supplies", 27, 0, ("Felt", "Hemp", "Ceramic"), ("Pet Bed", "Food Bowl", "Lead", "Scratching Post")),
)

BRANDS = (
    *("Aldrovik", "Ambervole", "Anjoquil", "Arkentole", "Bexumbra", "Birnholt & Tweel", "Blåvinge Kvist", "Brimquill"),
    *("Calthorrow", "Cindravale", "Corvantine", "Dellumoor", "Drovenka", "Duskweir", "Éloquine", "Embrastow"),
    *("Fablemark Nine", "Fennquist", "Fjordalune", "Galdermere", "Glimmerök", "Grettaval", "Halvenbrook", "Hexmorrow"),
    *("Hobbelin", "Ilverquay", "Ivornyx", "Jasprello", "Joltamere", "Kestovar", "Kindlewuth", "Kørvelund"),
    *("Lanternaut", "Lorvessa", "Lumbrique", "Marrowfen", "Mirovelle", "Moldavane", "Nettlebruck", "Nimquist"),
    *("Oakumvale", "Orbequin", "Pellowick", "Pindarrow", "Quenbury Row", "Quillonne", "Rastavold", "Rúnavik Loft"),
    *("Sablethorne", "Skarnholm", "Solquenta", "Tamberlume", "Thistlevane", "Umbrelio", "Vantolore", "Velmorrow"),
    *("Wexelbaum", "Wrenhollow", "Yarrowkin", "Zephandra"),
)

STYLES = (
    Style(("minimal", "scandi", "matte"), ("Pure", "Plain", "Quiet")),
    Style(("vintage", "retro", "heritage"), ("Vintage", "Classic", "Heirloom")),
    Style(("eco", "recycled", "plastic-free"), ("Reclaimed", "Organic", "Earthwise")),
    Style(("pro", "heavy-duty", "precision"), ("Professional", "Rugged", "Precision")),
    Style(("travel", "compact", "foldable"), ("Compact", "Pocket", "Foldaway")),
    Style(("luxury", "handmade", "limited"), ("Artisan", "Opulent", "Signature")),
    Style(("budget", "starter", "multipack"), ("Everyday", "Simple", "Starter")),
    Style(("kids", "playful", "colourful"), ("Jolly", "Rainbow", "Playful")),
    Style(("smart", "wireless", "rechargeable"), ("Smart", "Cordless", "Connected")),
    Style(("rustic", "farmhouse", "natural"), ("Rustic", "Weathered", "Homespun")),
    Style(("bold", "neon", "streetwise"), ("Bold", "Electric", "Neon")),
    Style(("giftable", "boxed", "seasonal"), ("Festive", "Keepsake", "Déjà Vu")),
)

TAGS = tuple(tag for style in STYLES for tag in style.tags)
COUNTRIES = ("DE", "FR", "GB", "NL", "SE", "ES", "IT", "US")
AGE_GROUPS = ("18-24", "25-34", "35-49", "50-64", "65+")

PATTERNS = (
    "{brand} {adjective} {material} {noun}",
    "{brand} {adjective} {material} {noun} {model}",
    "{brand} {noun}, {adjective}, {material}",
    "{adjective} {noun} by {brand} ({material})",
    "{brand} {model} {noun} ({adjective} Edition)",
)
