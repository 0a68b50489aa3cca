"""Names, companies, dates and amounts to print on made-up documents."""

from training.phrases.lists import listed

FIRST = listed(
    """
Anna|Ben|Clara|David|Emma|Felix|Grace|Henry|Ivan|Julia|Kofi|Laura|Maria|Noah|Olga|Peter|Quentin|Rosa|Sam|Tina
Uma|Viktor|Wendy|Yara|Zoe|Ahmed|Carlos|Elena|Hanna|Jonas|Marta|Nina|Oscar|Priya|Simon
"""
)
LAST = listed(
    """
Adams|Baker|Castro|Dunn|Evans|Fischer|Garcia|Hughes|Ito|Jensen|Keller|Lopez|Meyer|Novak|Owens|Parker|Quinn|Rossi
Schmidt|Turner|Vogel|Walker|Young|Zimmer|Brandt|Costa|Fraser|Hansen|Kumar|Lindgren|Moreau|Okafor|Petrov|Sato
"""
)
FIRST_TEST = listed(
    """
Alice|Bruno|Diana|Erik|Fatima|George|Helen|Igor|Jane|Karl|Leila|Martin|Nora|Paul|Rita
"""
)
LAST_TEST = listed(
    """
Anderson|Bianchi|Cooper|Dubois|Ericsson|Foster|Gomez|Hoffman|Ivanov|Jones|Larsson|Miller|Nguyen|Olsen
"""
)
BRANCHES = listed(
    """
Supplies|Trading|Books|Foods|Tools|Travel|Design|Software|Logistics|Garden|Electric|Paper|Optics|Sports
Furniture|Repairs|Music|Bikes|Print|Energy
"""
)
ENDINGS = ["Ltd", "Inc.", "GmbH", "LLC", "& Co", "Group", "", "", ""]
STARTS = [*listed("b|br|c|ch|d|dr|f|fl|g|gr|h|j|k|kl|l|m|n|p|pr|r|s|sh|st|t|tr|v|w|z"), "", ""]
CLOSES = [*listed("n|r|l|s|m|nd|rt|ck|ll|ss|tt|ng"), *[""] * 7]
NAME_ENDINGS = ["son", "er", "ez", "ov", "ski", "man", "ard", "elli", "sen", "aux", "ton", "ford"]
MONTHS = listed(
    """
January|February|March|April|May|June|July|August|September|October|November|December
"""
)
STREETS = [
    "Main Street",
    "Oak Avenue",
    "Park Road",
    "Mill Lane",
    "High Street",
    "River Road",
    "Station Square",
    "Hill Street",
]
CITIES = ["Springfield", "Oslo", "Graz", "Leeds", "Porto", "Bergen", "Lyon", "Dover", "Kiel", "Salem", "Turin", "Cork"]
GOODS = listed(
    """
Desk lamp|Office chair|Printer paper|USB cable|Monitor|Keyboard|Notebook|Coffee beans|Toner|Headset|Whiteboard
Envelopes|Webcam|Consulting|Delivery|Installation|Support|Training|Repair|Design work
"""
)
TOPICS = listed(
    """
Annual Report|Project Plan|Meeting Notes|Team Update|Travel Guide|Price List|User Manual|Weekly Menu
Course Outline|Market Overview|Safety Rules|Summer Program|Budget Review|Product News|Opening Hours|Reading List
Press Release|Road Map|Training Plan|Frequently Asked Questions|Order Form|Registration|Gift Voucher
Holiday Schedule
"""
)
TOPICS_TEST = listed(
    """
Quarterly Results|Launch Checklist|Library News|Hiring Plan|City Walks|Kitchen Rules|Research Summary
Roof Garden|Guest Information|Garage Sale|Winter Offers|Chess Club
"""
)


class MadeUp:
    """rng: random.Random; split: "train" or "test" (other names and titles)."""

    def __init__(self, rng, split):
        self.rng, self.test = rng, split == "test"

    def person(self):
        return f"{self.first()} {self.last()}"

    def first(self):
        if self.test:
            return self.rng.choice(FIRST_TEST)
        return self.rng.choice(FIRST) if self.rng.random() < 0.4 else self.name()

    def last(self):
        if self.test:
            return self.rng.choice(LAST_TEST)
        return self.rng.choice(LAST) if self.rng.random() < 0.4 else self.name()

    def name(self):
        """Syllables that make a name which nobody has: names are to be read, not known; none is held out."""
        rng = self.rng
        while True:
            name = "".join(
                rng.choice(STARTS) + rng.choice("aeiouaeioy") + rng.choice(CLOSES) for _ in range(rng.randint(1, 3))
            )
            name = name.capitalize() + (rng.choice(NAME_ENDINGS) if rng.random() < 0.4 else "")
            if 3 <= len(name) <= 11 and name not in (*FIRST_TEST, *LAST_TEST):
                return name

    def company(self):
        rng = self.rng
        name = self.last()
        return f"{name} {rng.choice(BRANCHES)} {rng.choice(ENDINGS)}".strip()

    def topic(self, words):
        """A title.  words: a few words of the world's own to make up half of them."""
        if self.rng.random() < 0.5:
            return self.rng.choice(TOPICS_TEST if self.test else TOPICS)
        return " ".join(w.capitalize() for w in words)

    def date(self):
        rng = self.rng
        day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1995, 2029)
        return rng.choice(
            [
                f"{day:02d}/{month:02d}/{year}",
                f"{year}-{month:02d}-{day:02d}",
                f"{day:02d}.{month:02d}.{year}",
                f"{day} {MONTHS[month - 1]} {year}",
                f"{MONTHS[month - 1]} {day}, {year}",
                f"{MONTHS[month - 1][:3]} {day}, {year}",
            ]
        )

    def time(self):
        return f"{self.rng.randint(0, 23):02d}:{self.rng.randint(0, 59):02d}"

    def number(self):
        rng = self.rng
        head = rng.choice(["", "INV-", "No. ", "#", "2024-", "A", "RE"])
        return head + str(rng.randint(100, 99999))

    def phone(self):
        rng = self.rng
        return (
            rng.choice(["+44 20", "+1 555", "0171", "+49 30", "555"])
            + f" {rng.randint(100, 999)} {rng.randint(1000, 9999)}"
        )

    def mail(self, person):
        return f"{person.split()[0].lower()}@{self.rng.choice(['example.com', 'mail.org', 'post.net', 'acme.io'])}"

    def address(self):
        return f"{self.rng.randint(1, 199)} {self.rng.choice(STREETS)}, {self.rng.choice(CITIES)}"

    def amount(self, high=900.0):
        return round(self.rng.uniform(1, high), 2)

    def money(self, amount, currency):
        """As printed: "$1,204.50", "1204.50 €"."""
        text = f"{amount:,.2f}"
        return f"{text} {currency}" if currency in ("EUR", "CHF") else f"{currency}{text}"
