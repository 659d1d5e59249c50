"""A small feed in memory, and questions over it, to develop answering by.

Written for this; the examination in tests/grok_quality has other posts and other questions.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import log
from typing import Final, NamedTuple

from gigafactory.grok.words import is_plain, words
from gigafactory.spec.post import Freshness, Hit, Post, PostKey, Query, SourceStatus

NOW: Final = datetime(2026, 3, 12, 15, 0, tzinfo=UTC)  # a Thursday


@dataclass
class SmallFeed:
    """Posts found by counted words: a stand-in for the feed that needs no index."""

    posts: dict[PostKey, Post] = field(default_factory=dict)
    down: tuple[SourceStatus, ...] = ()
    asked: list[Query] = field(default_factory=list)

    def add(self, *posts: Post) -> None:
        for post in posts:
            self.posts[post.key] = post

    def search(self, query: Query) -> list[Hit]:
        self.asked.append(query)
        among = [post for post in self.posts.values() if _passes(post, query)]
        bags = [Counter(part for word in words(post.text) for part in word.parts) for post in among]
        wanted = {word.stem for word in words(query.words) if not is_plain(word)}
        spread = {one: sum(one in bag for bag in bags) for one in wanted}
        scored = [
            Hit(post=post, score=sum(log(1 + len(bags) / spread[one]) for one in wanted if one in bag))
            for post, bag in zip(among, bags, strict=True)
        ]
        found = [hit for hit in scored if hit.score > 0 or not wanted]
        found.sort(key=lambda hit: (-hit.score, hit.post.id))
        if query.newest_first or not wanted:
            found.sort(key=lambda hit: hit.post.created_at, reverse=True)
        return found[: query.limit]

    def post(self, key: PostKey) -> Post | None:
        return self.posts.get(key)

    def freshness(self, now: datetime) -> Freshness:
        newest = max((post.created_at for post in self.posts.values()), default=None)
        return Freshness(as_of=now, newest_at=newest, sources=self.down)


def _passes(post: Post, query: Query) -> bool:
    handle = post.author.lower()
    return (
        (not query.authors or any(handle == one.lower() for one in query.authors))
        and handle not in {one.lower() for one in query.excluded_authors}
        and (query.since is None or post.created_at >= query.since)
        and (query.until is None or post.created_at < query.until)
        and (query.as_of is None or post.created_at <= query.as_of)
    )


def post(id: str, author: str, hours_ago: float, text: str, **rest: str) -> Post:
    created_at = NOW - timedelta(hours=hours_ago)
    url = f"https://example.org/{author}/{id}"
    return Post(id=id, source="file", author=author, created_at=created_at, text=text, url=url, **rest)


class Asked(NamedTuple):
    """A question, and the posts that answer it; none if nothing does."""

    text: str
    gold: tuple[str, ...] = ()


def small_feed() -> SmallFeed:
    feed = SmallFeed()
    feed.add(*(post(str(number), *line) for number, line in enumerate(_POSTS)))
    return feed


_POSTS: Final = (
    ("tarnbrook_lib", 30, "The Tarnbrook library reopens on Monday 16 March at 10am after the flood repairs. New carpets, same quiet corner."),  # 0
    ("councilwatch", 50, "Vessby council has ordered 340 e-bikes for the hire scheme. First ones on the street in May."),
    ("roadrunner", 96, "Lakeside 10k results: Maria Ortega takes first place in 34:12, Tom Baker second."),
    ("metro_ops", 27, "Green Line trains are running 20 minutes late between Halden and Fairview because of a signal fault."),
    ("metro_ops", 3, "Green Line: normal service has resumed. Thanks for your patience."),
    ("elmpool", 70, "Day tickets at the Elm Street pool now cost £6.50 for adults, £3 for under 16s."),  # 5
    ("norwind", 20, "Norwind has cancelled all flights to Oslo today due to freezing fog. Rebooking is free."),
    ("dailyvessby", 44, "Councillors approved £2.4 million for the new skate park in Mill Park last night."),
    ("bridgecam", 6, "The Tay footbridge is closed until further notice, ice on the deck."),
    ("powergrid_n", 60, "Power outage in Leith lasted four hours and hit 2,300 homes. Cause: a damaged cable on Pier Road."),
    ("tramfan", 15, "Just saw the new tram in the depot, it's a lovely deep teal."),  # 10
    ("dailyvessby", 10, "Mayor Ingrid Solheim resigned this morning, citing her health. Deputy Paul Renn takes over until the election."),
    ("foodie", 18, "The lemon drizzle from Kestrel Bakery won best cake at the spring fair!"),
    ("jazzvessby", 200, "Jazz weekend is back: 5-7 June in the old tannery on Quay Street. 24 bands, free entry on Friday."),
    ("dailyvessby", 29, "Warehouse fire on Dock Road started by a faulty battery charger, says fire chief Anna Lund. No injuries."),
    ("rumourmill", 8, "Rumour has it the Halden cinema is going to close in April."),  # 15
    ("hopeful", 9, "I wish they would build a ferry terminal at Fairview."),
    ("seismo", 33, "Magnitude 4.6 earthquake 12 km north of Sandvik at 03:41. Felt by many, no damage reported."),
    ("aurora_lab", 90, "Our telescope on Mount Brenn found a comet! It is named Brenn-Kato and will be visible until 2 April."),
    ("teachersunion", 26, "Teachers in Vessby will strike on Thursday 19 March over class sizes."),
    ("run:tiny", 0.97, "Run tiny failed at step 1200: rank 3 died with signal 9."),  # 20
    ("run:tiny", 0.9, "Run tiny resumed from checkpoint at step 1150."),
    ("codekeeper", 40, "OpenKettle 2.4.1 is out: fixes the login crash and needs Python 3.12."),
    ("marta", 12, "Is the Elm Street pool open on Sundays? Asking for a friend."),
    ("vessbyzoo", 100, "Say hello to Pumpkin! Our red panda cub was born on 2 February and weighs 1.2 kg."),
    ("harbourmaster", 22, "The Sandvik ferry leaves at 14:20 from pier 2 during the works, not from pier 5."),  # 25
    ("dailyvessby", 140, "Attendance at Saturday's climate rally: about 4,000 people, police say."),
    ("fcvessby", 120, "FULL TIME: FC Vessby 3-1 Halden United. Goals by Okafor (2) and Lindt."),
    ("brenn_ski", 36, "Season ends on 6 April. The gondola runs daily from 9:00 to 16:30."),
    ("gardenclub", 55, "We planted 40 oak trees in Mill Park on Sunday with the help of 60 schoolchildren."),
    ("councilwatch", 5, "Bin collection moves from Tuesday to Wednesday in Fairview from next week."),  # 30
    ("solheim_ingrid", 300, "Proud to open the new Halden hospital wing today, 48 beds."),
    ("techdaily", 75, "Qubix hires Lena Park as chief scientist; she led the Atlas project at Novatron."),
    ("museumhalden", 65, "The Halden museum has lent its Viking ship model to Oslo for two years."),
    ("weatherv", 2, "Tomorrow: snow above 300 m, 2 degrees in Vessby, strong wind from the west."),
    ("kiran", 4, "If I were mayor I'd make the trams free on Sundays."),  # 35
    ("bakery_kestrel", 48, "We're moving! From 1 April you'll find us at 12 Quay Street, next to the tannery."),
    ("policevessby", 16, "Two men arrested after the break-in at Lindt Jewellers. The stolen watches have been found."),
    ("dailyvessby", 7, "Sandvik school gets 120 laptops from the Brenn Foundation."),
    ("novatron", 52, "Novatron Mark II weighs 41 tonnes and draws 900 kW."),
    ("ana_runs", 95, "So happy! I finished the Lakeside 10k in 52 minutes."),  # 40
)  # fmt: skip

QUESTIONS: Final = (
    Asked("When does the Tarnbrook library reopen?", ("0",)),
    Asked("How many bikes did Vessby council order for the hire scheme?", ("1",)),
    Asked("Who won the Lakeside 10k?", ("2",)),
    Asked("Why were Green Line trains delayed?", ("3",)),
    Asked("How much is a day ticket at the Elm Street pool?", ("5",)),
    Asked("Which airline cancelled its flights to Oslo?", ("6",)),
    Asked("How much money did the council approve for the skate park?", ("7",)),
    Asked("Is the Tay footbridge open?", ("8",)),
    Asked("How long did the power cut in Leith last?", ("9",)),
    Asked("What colour is the new tram?", ("10",)),
    Asked("Who takes over from Mayor Solheim?", ("11",)),
    Asked("Which cake won at the spring fair?", ("12",)),
    Asked("Where is the jazz weekend?", ("13",)),
    Asked("What caused the warehouse fire on Dock Road?", ("14",)),
    Asked("What was the magnitude of the earthquake near Sandvik?", ("17",)),
    Asked("Until when will the comet be visible?", ("18",)),
    Asked("When will the teachers in Vessby strike?", ("19",)),
    Asked("Why did run tiny stop?", ("20",)),
    Asked("What does OpenKettle 2.4.1 fix?", ("22",)),
    Asked("How heavy is the red panda cub?", ("24",)),
    Asked("What time does the Sandvik ferry depart?", ("25",)),
    Asked("How many people attended the climate rally?", ("26",)),
    Asked("What was the score between FC Vessby and Halden United?", ("27",)),
    Asked("How many oak trees were planted in Mill Park?", ("29",)),
    Asked("Who is the new chief scientist of Qubix?", ("32",)),
    Asked("How cold will it be in Vessby tomorrow?", ("34",)),
    Asked("Where is Kestrel Bakery moving to?", ("36",)),
    Asked("How many men were arrested after the break-in at Lindt Jewellers?", ("37",)),
    Asked("Who gave laptops to Sandvik school?", ("38",)),
    Asked("When did Ingrid Solheim resign?", ("11",)),
    Asked("What did @metro_ops say about the Green Line today?", ("4",)),
    Asked("When does the gondola run?", ("28",)),
    Asked("When does the Tarnbrook museum reopen?"),
    Asked("How many scooters did Vessby council order for the hire scheme?"),
    Asked("Who won the Lakeside marathon?"),
    Asked("Why were Red Line trains delayed?"),
    Asked("How much is a season ticket at the Elm Street pool?"),
    Asked("Which airline cancelled its flights to Bergen?"),
    Asked("Is the Elm Street pool open on Sundays?"),
    Asked("How much did the fire on Dock Road cost?"),
    Asked("When did Paul Renn resign?"),
    Asked("Will the Halden cinema close in April?"),
    Asked("When will the ferry terminal at Fairview be built?"),
    Asked("How many people were injured in the earthquake near Sandvik?"),
    Asked("What is the name of the tram driver?"),
    Asked("How many oak trees were cut down in Mill Park?"),
    Asked("How heavy is the Brenn-Kato comet?"),
    Asked("Where was the red panda cub born?"),
    Asked("Who arrested Lena Park?"),
    Asked("When do teachers in Sandvik strike?"),
    Asked("Are the trams free on Sundays?"),
    Asked("How many homes lost power in Halden?"),
    Asked("What did @metro_ops say about the Blue Line?"),
    Asked("Who won the 2026 world chess championship?"),
    Asked("What is the capital of Peru?"),
    Asked("How many goals did Baker score?"),
    Asked("When does the Sandvik ferry arrive?"),
    Asked("Why did the mayor of Halden resign?"),
    Asked("What is the price of the Novatron Mark II?"),
    Asked("When will teachers strike in April?"),
    Asked("How many beds does the Sandvik hospital have?"),
)  # fmt: skip
