"""A third small feed with its questions, in looser language; run once before any change of a rule."""

from __future__ import annotations

from typing import Final

from tests.small_feed import Asked, SmallFeed, post

_POSTS: Final = (
    ("ferris_on_air", 3, "just landed in Quillhaven, 40 min late bc of the headwind but the crew was lovely"),  # 0
    ("quillhaven_news", 21, "BREAKING: Quillhaven's 120-year-old lighthouse to be moved 60 metres inland to save it from erosion. The job starts in September and will cost about $12 million."),
    ("quillhaven_news", 45, "Dr. Priya Raman has been named director of the Quillhaven aquarium. She succeeds Walt Jensen, who retires in June."),
    ("aquarium_qh", 15, "Meet our newest resident: Biscuit the sea otter! Rescued off Cape Morrow last week, she weighs just 4 kg and loves clams."),
    ("aquarium_qh", 70, "Heads up: the shark tunnel is closed for cleaning until Thursday. The rest of the aquarium is open as usual, 9-17."),
    ("qh_ferries", 12, "Due to high winds the 16:30 and 18:30 sailings to Brackle Island won't run. The 20:00 is under review."),  # 5
    ("qh_ferries", 90, "New summer timetable: boats to Brackle Island every 45 minutes from 1 June."),
    ("sam_the_baker", 33, "sourdough update: 3rd attempt finally rose!! used rye flour and left it 18 hours"),
    ("lowelltech", 28, "Lowell Technologies lays off 220 people, about 8% of its workforce, after losing a defence contract."),
    ("lowelltech", 27, "Lowell CEO Greta Falk said the cuts would mostly hit the robotics unit in Marlow."),
    ("openmarsh", 60, "Marshlight 3.0 released! Dark mode, offline maps and half the memory use. Download: https://marshlight.example/get"),  # 10
    ("openmarsh", 5, "We know about the Marshlight 3.0 crash on older Pixel phones. A fix ships tomorrow as 3.0.1."),
    ("nadine.b", 7, "lost my grey tabby Miso near Fenwick Square, please call if you see him"),
    ("nadine.b", 1, "MISO IS HOME! A neighbour found him asleep in her shed."),
    ("hockeyhub", 38, "Quillhaven Gulls beat the Marlow Foxes 4-2 in front of a sell-out crowd of 7,200. Hat-trick for Erik Sund."),
    ("hockeyhub", 6, "Erik Sund is out for the rest of the season with a torn ligament, the Gulls confirm."),  # 15
    ("countyfire", 9, "Crews are battling a grass fire of roughly 90 acres near Tolland Ridge. Residents of Alder Court were told to leave."),
    ("countyfire", 2, "Tolland Ridge fire is now 75% contained. No homes lost. Alder Court residents may return."),
    ("prof_okoye", 52, "Our new paper shows that bumblebees can tell apart 16 flower patterns after a single visit. Published in Insect Letters."),
    ("qh_council", 64, "The library card is now free for everyone who lives in the county. Bring proof of address."),
    ("qh_council", 18, "Street parking downtown goes up from $1.50 to $2 an hour on 1 April."),  # 20
    ("qh_council", 120, "Tenders are open for the replacement of the Mill Creek bridge; offers by 30 April."),
    ("traintalk", 30, "Rumor: the night train to Marlow might come back next winter. No confirmation."),
    ("musiczine", 75, "Odd Lanterns' third album 'Paper Tides' is out on Friday. They recorded it in a disused grain silo."),
    ("musiczine", 14, "Odd Lanterns drummer Kit Avery told us the silo's echo lasts eleven seconds."),
    ("run:delta", 1.5, "Run delta: failure on rank 5: CUDA out of memory at step 880."),  # 25
    ("run:delta", 1.4, "Run delta: restarted from the checkpoint of step 850 on 64 GPUs."),
    ("marlow_police", 50, "A 19-year-old from Marlow was charged with stealing 14 bicycles from the station."),
    ("grandmaelsie", 80, "Blackberry jam is done, 22 jars. First one goes to the postman as always."),
    ("qh_hospital", 25, "Our emergency department sees the longest waits on Mondays. On average 3 hours and 10 minutes last month."),
    ("stargazer_jo", 95, "The partial lunar eclipse begins at 21:14 on 28 August, best seen from the south coast."),  # 30
    ("climbclub", 34, "Youngest ever to climb the Needle: Tessa Brandt, 11, reached the top on Sunday together with her dad."),
    ("quillhaven_news", 11, "School meals: the county will serve free lunches to 5,400 pupils from August."),
    ("quillhaven_news", 57, "The Old Mint hotel has been bought by Arden Group for $31 million. It had been empty since 2019."),
    ("marketgeek", 16, "Copper hit a two-year high of $4.9 a pound as strikes shut mines in Peru."),
    ("annoyed_al", 4, "why does the Fenwick Square fountain never work?? it's been dry since Easter"),  # 35
    ("qh_parks", 3.5, "@annoyed_al The pump of the Fenwick Square fountain burnt out. New one arrives in two weeks."),
    ("filmfan_u", 40, "Best documentary at the Marlow festival went to 'Salt Harvest' by Inés Duarte. Deserved!"),
    ("beachwatch", 8, "Jellyfish warning for Cape Morrow beach: swimming not recommended this weekend."),
    ("kidscoding", 66, "We teach kids aged 8 to 12 to code every Saturday morning at the Harbor Lab. 16 spots left!"),
    ("dreamer_dan", 10, "If I won the lottery I'd buy the Old Mint hotel and turn it into an arcade."),  # 40
)  # fmt: skip

QUESTIONS: Final = (
    Asked("Why was ferris_on_air's flight delayed?", ("0",)),
    Asked("How far will the lighthouse be moved?", ("1",)),
    Asked("When does work on moving the lighthouse start?", ("1",)),
    Asked("What will relocating the Quillhaven lighthouse cost?", ("1",)),
    Asked("Who is the new director of the aquarium?", ("2",)),
    Asked("When does Walt Jensen retire?", ("2",)),
    Asked("What is the name of the aquarium's new sea otter?", ("3",)),
    Asked("Where was Biscuit the otter rescued?", ("3",)),
    Asked("What does Biscuit like to eat?", ("3",)),
    Asked("When will the shark tunnel open again?", ("4",)),
    Asked("Which sailings to Brackle Island are cancelled?", ("5",)),
    Asked("How often do boats go to Brackle Island in summer?", ("6",)),
    Asked("What flour did sam_the_baker use for the sourdough?", ("7",)),
    Asked("How many people is Lowell Technologies laying off?", ("8",)),
    Asked("Why is Lowell Technologies cutting jobs?", ("8",)),
    Asked("Which unit of Lowell is hit most by the cuts?", ("9",)),
    Asked("What's new in Marshlight 3.0?", ("10",)),
    Asked("When will the Marshlight crash be fixed?", ("11",)),
    Asked("Where did the neighbour find Miso?", ("13",)),
    Asked("Did the Gulls win against the Foxes?", ("14",)),
    Asked("What was the final score of Gulls vs Foxes?", ("14",)),
    Asked("How many spectators watched the Gulls beat the Foxes?", ("14",)),
    Asked("What injury does Erik Sund have?", ("15",)),
    Asked("How big is the fire near Tolland Ridge?", ("16",)),
    Asked("How much of the Tolland Ridge fire is contained?", ("17",)),
    Asked("How many flower patterns can bumblebees distinguish?", ("18",)),
    Asked("Who can get a free library card?", ("19",)),
    Asked("How much will parking downtown cost from April?", ("20",)),
    Asked("What is the deadline for offers on the Mill Creek bridge?", ("21",)),
    Asked("Where did Odd Lanterns record Paper Tides?", ("23",)),
    Asked("How long does the echo in the silo last?", ("24",)),
    Asked("Why did run delta fail?", ("25",)),
    Asked("How many GPUs is run delta using after the restart?", ("26",)),
    Asked("How many bicycles were stolen from the station?", ("27",)),
    Asked("How many jars of jam did grandmaelsie make?", ("28",)),
    Asked("How long is the average wait at the emergency department?", ("29",)),
    Asked("What time does the lunar eclipse begin?", ("30",)),
    Asked("Who is the youngest person to climb the Needle?", ("31",)),
    Asked("How many pupils will get free lunches?", ("32",)),
    Asked("Who bought the Old Mint hotel?", ("33",)),
    Asked("Why is the copper price so high?", ("34",)),
    Asked("Why isn't the fountain in Fenwick Square working?", ("36",)),
    Asked("Which film won best documentary at the Marlow festival?", ("37",)),
    Asked("Is it safe to swim at Cape Morrow this weekend?", ("38",)),
    Asked("What ages are the coding classes at the Harbor Lab for?", ("39",)),
    # near misses
    Asked("How tall is the Quillhaven lighthouse?"),
    Asked("Who designed the Quillhaven lighthouse?"),
    Asked("When does Priya Raman retire?"),
    Asked("How many sea otters live at the aquarium?"),
    Asked("When will the penguin house open again?"),
    Asked("Is the 21:30 sailing to Brackle Island cancelled?"),
    Asked("How much is a ticket to Brackle Island?"),
    Asked("How many people is Lowell Technologies hiring?"),
    Asked("How much was the defence contract worth?"),
    Asked("When will Marshlight 4.0 be released?"),
    Asked("What breed is nadine.b's dog?"),
    Asked("Who scored a hat-trick for the Foxes?"),
    Asked("How old is Erik Sund?"),
    Asked("How many homes burned in the Fenwick fire?"),
    Asked("What caused the Tolland Ridge fire?"),
    Asked("How many firefighters are battling the Tolland Ridge fire?"),
    Asked("How much is a library card for tourists?"),
    Asked("How much is street parking in Marlow?"),
    Asked("Who will replace the Mill Creek bridge?"),
    Asked("Is the night train to Marlow coming back?"),
    Asked("Who produced Paper Tides?"),
    Asked("How many songs are on Paper Tides?"),
    Asked("Why did run gamma fail?"),
    Asked("What was the final loss of run delta?"),
    Asked("How many cars were stolen from the station?"),
    Asked("What did grandmaelsie bake?"),
    Asked("How long is the wait at the dentist?"),
    Asked("What time does the solar eclipse begin?"),
    Asked("How high is the Needle?"),
    Asked("What will be on the school lunch menu?"),
    Asked("Who built the Old Mint hotel?"),
    Asked("How much did dreamer_dan win in the lottery?"),
    Asked("What is the price of silver?"),
    Asked("Who won best actress at the Marlow festival?"),
    Asked("Is it safe to swim at Brackle Island this weekend?"),
    Asked("How many kids fit into the chess class at the Harbor Lab?"),
    Asked("How did England play last night?"),
    Asked("What vitamins are in kale?"),
    Asked("Where can I watch the royal wedding?"),
    Asked("Who is the prime minister of Canada?"),
    Asked("When does daylight saving time end in Brazil?"),
)  # fmt: skip


def third_feed() -> SmallFeed:
    feed = SmallFeed()
    feed.add(*(post(str(number), *line) for number, line in enumerate(_POSTS)))
    return feed
