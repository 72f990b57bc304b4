"""The names that the columns of logs and tables go by, the likelier first."""

import re


def names_of(names: str) -> tuple[str, ...]:
    """Names that are written with blanks between them."""
    return tuple(names.split())


USER = names_of("""
    user_id user userid uid customer_id customer customerid member_id visitor_id visitorid account_id reviewer_id
    reviewerid client_id profile_id person_id listener_id reader_id user_name username visitor
""")
ITEM = names_of("""
    item_id item itemid iid product_id product productid asin parent_asin sku stock_code stockcode article_id movie_id
    movieid track_id artist_id artistid song_id book_id isbn business_id video_id content_id game_id anime_id news_id
    recipe_id recording_msid
""")
TIME = names_of("""
    timestamp time ts datetime date event_time created_at unix_review_time unixreviewtime invoice_date invoicedate
    purchase_date timestamp_ms unix_timestamp t_dat occurred_at when event_timestamp eventtime event_date time_stamp
    order_date visit_time viewed_at purchased_at clicked_at played_at listened_at updated_at
""")
RATING = names_of("rating stars overall score ratings star_rating")
STARS = {"star", "stars", "rating", "ratings"}  # words that tell of stars in longer names
CODES = {"id", "code", "store", "shop", "branch", "zip", "zipcode", "postcode"}  # words that tell of numbers as names
PASSING = {"stock", "inventory"}  # of numbers that change by the day: for rules, not for models
WEIGHT = names_of("weight plays play_count playcount quantity qty count value listens views strength")


def words_of(name: str) -> set[str]:
    """The words of a column's name, in small letters."""
    return set(re.split(r"[-_. ]", name.lower()))


def match(known: tuple[str, ...], names: list[str]) -> str | None:
    """The first name that is known, whatever its case and dashes, and the type that RecBole writes behind it.

    The field `id` of the objects in `user` is `user.id`, which `user_id` is taken for if no column is called so.
    """
    plain = {re.sub(r"[-. ]", "_", name.lower()).partition(":")[0]: name for name in reversed(names)}
    return next((plain[name] for name in known if name in plain), None)
