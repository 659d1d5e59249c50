"""A fourth small feed with its questions; run once before any change of a rule."""

from __future__ import annotations

from typing import Final

from tests.small_feed import Asked, SmallFeed, post

_POSTS: Final = (
    ("valencia_wind", 6, "The Ostrava turbine plant delivered its 1,000th rotor blade today, 88 metres long."),  # 0
    ("ostrava_today", 20, "Chess: 14-year-old Lucie Horak knocked out the defending champion in the quarter finals at Brno."),
    ("ostrava_today", 43, "The Silesian museum's dinosaur hall welcomes visitors again from 21 March, after two years of works."),
    ("ostrava_today", 5, "Update: the dinosaur hall's comeback slips to 4 April, the new lift has not passed inspection."),
    ("tram_ostrava", 30, "Line 8: no trams between Hulvaky and Poruba on Saturday night, replacement buses leave every 20 minutes."),
    ("petr.novak", 12, "Found a set of keys with a red ribbon at the Hulvaky stop. DM me."),  # 5
    ("farmers_union", 52, "Late frost destroyed 60 percent of the apricot harvest in South Moravia, growers say."),
    ("brnolab", 25, "We've built a battery electrode from recycled glass that keeps 90% capacity after 2,000 cycles."),
    ("brnolab", 24, "Funding for the glass electrode work came from the Czech Science Foundation."),
    ("bookfair", 60, "Guest of honour at this year's book fair: Iceland. Doors open Thursday 9 am, day pass 150 crowns."),
    ("zdenka_runs", 3, "Third in my age group at the Beskydy trail run, 21 km in 2:04. Mud everywhere."),  # 10
    ("citywatch_os", 16, "Burglars broke into the jewellery shop on Postal Street through the roof, loot estimated at 3 million crowns."),
    ("policie_os", 4, "Three suspects in the Postal Street jewellery burglary were detained this morning at a motel in Opava."),
    ("hc_steel", 22, "Coach Radek Blaha leaves HC Steel at the end of the season. The club is looking for a successor."),
    ("hc_steel", 70, "Our arena gets new LED floodlights, cutting the power bill by a third."),
    ("meteo_cz", 14, "Gusts of 132 km/h were recorded on Lysa Hora last night, strongest since 2017."),  # 15
    ("run:mini-moe", 2.2, "Run mini-moe: step 300 loss 3.87, goodput 0.94."),
    ("run:mini-moe", 1.8, "Run mini-moe: restart after rank 1 lost its heartbeat; 12 steps redone."),
    ("pubquiz_os", 33, "Pub quiz moves from Tuesdays to Wednesdays, same place: The Blue Anvil, 19:00."),
    ("dr_kral", 48, "In our study of 900 nurses, night shifts raised blood pressure by 4 points on average."),
    ("zoo_os", 27, "Twins! Our snow leopard Maja gave birth to two cubs on Friday. Names to be chosen by the public."),  # 20
    ("zoo_os", 2, "You voted: the snow leopard cubs are called Frost and Ember."),
    ("skeptic77", 8, "People say the steel works will be turned into flats. I doubt it."),
    ("indie_dev_lu", 39, "My game Moth & Lantern passed 50k downloads in its first week!! Console version is planned for autumn."),
    ("eu_space_fan", 65, "The Juniper probe entered orbit around Vesta at 04:10 UTC after a journey of six years."),
    ("hospital_os", 18, "Visiting hours in the children's ward change: from Monday 14:00-17:00 instead of 15:00-18:00."),  # 25
    ("hospital_os", 100, "We need blood donors with type O negative, stocks last only three more days."),
    ("mayor_kolar", 28, "The city buys 12 hydrogen buses. They replace our oldest diesels and start running in October."),
    ("radio_silesia", 10, "Power cut in Vitkovice: an excavator hit a 22 kV cable. About 1,800 households without electricity."),
    ("radio_silesia", 7, "Electricity is back in all of Vitkovice since 10:15."),
    ("concertbuzz", 90, "Singer Ewa Lis cancels her Ostrava show on 18 March, laryngitis. Tickets stay valid for the new date."),  # 30
    ("concertbuzz", 11, "New date for Ewa Lis in Ostrava: 22 May."),
    ("cafe_korunka", 35, "Our cinnamon buns were voted the best in the city by readers of Silesian Daily."),
    ("hana_teaches", 13, "If the ministry really bans phones in class, I'd celebrate with cake."),
    ("silesian_daily", 31, "Parents collected 4,300 signatures against the closing of the school in Radvanice."),
    ("silesian_daily", 54, "The swimming hall in Poruba has lowered water temperature from 28 to 26 degrees to save gas."),  # 35
    ("castle_hukvaldy", 73, "Falconry shows at the castle every Sunday at 14:00 until the end of October. Kids under 6 get in free."),
    ("trainspotter_m", 9, "Spotted: steam engine 475.179 hauling five historic coaches through Bohumin."),
    ("cyclo_os", 21, "The bike path along the Ostravice is flooded below the Sykora bridge, please use the left bank."),
    ("uni_os", 46, "Professor Jitka Vesela becomes the first woman to lead the technical university."),
)  # fmt: skip

QUESTIONS: Final = (
    Asked("How long is the 1,000th rotor blade?", ("0",)),
    Asked("Who eliminated the defending chess champion in Brno?", ("1",)),
    Asked("When does the dinosaur hall reopen?", ("2", "3")),
    Asked("Why is the dinosaur hall's reopening delayed?", ("3",)),
    Asked("How often do replacement buses leave on line 8?", ("4",)),
    Asked("Where were keys with a red ribbon found?", ("5",)),
    Asked("How much of the apricot harvest was lost to frost?", ("6",)),
    Asked("What is brnolab's battery electrode made from?", ("7",)),
    Asked("Who funded the glass electrode research?", ("8",)),
    Asked("Which country is guest of honour at the book fair?", ("9",)),
    Asked("How much does a day pass for the book fair cost?", ("9",)),
    Asked("How did the burglars get into the jewellery shop on Postal Street?", ("11",)),
    Asked("How many suspects were arrested for the Postal Street burglary?", ("12",)),
    Asked("Where were the Postal Street suspects caught?", ("12",)),
    Asked("Who is leaving HC Steel at the end of the season?", ("13",)),
    Asked("What wind speed was measured on Lysa Hora?", ("15",)),
    Asked("What was the goodput of run mini-moe at step 300?", ("16",)),
    Asked("Why did run mini-moe restart?", ("17",)),
    Asked("What day is the pub quiz now?", ("18",)),
    Asked("Where does the pub quiz take place?", ("18",)),
    Asked("How many nurses took part in dr_kral's study?", ("19",)),
    Asked("When did Maja give birth?", ("20",)),
    Asked("What are the snow leopard cubs called?", ("21",)),
    Asked("When will Moth & Lantern come to consoles?", ("23",)),
    Asked("How many downloads did Moth & Lantern get in the first week?", ("23",)),
    Asked("How long did the Juniper probe travel to Vesta?", ("24",)),
    Asked("What are the new visiting hours in the children's ward?", ("25",)),
    Asked("Which blood type does the hospital need?", ("26",)),
    Asked("How many hydrogen buses is the city buying?", ("27",)),
    Asked("What caused the power cut in Vitkovice?", ("28",)),
    Asked("How many households lost electricity in Vitkovice?", ("28",)),
    Asked("Is the electricity back in Vitkovice?", ("29",)),
    Asked("Why did Ewa Lis cancel her show in Ostrava?", ("30",)),
    Asked("What is the new date for the Ewa Lis concert?", ("31",)),
    Asked("Whose cinnamon buns were voted best in the city?", ("32",)),
    Asked("How many signatures did parents collect against the school closing?", ("34",)),
    Asked("What is the water temperature in the Poruba swimming hall?", ("35",)),
    Asked("When are the falconry shows at Hukvaldy castle?", ("36",)),
    Asked("Where is the Ostravice bike path flooded?", ("38",)),
    Asked("Who will lead the technical university?", ("39",)),
    # near misses
    Asked("How heavy is the rotor blade?"),
    Asked("Who won the chess final at Brno?"),
    Asked("When does the planetarium reopen?"),
    Asked("How often do replacement buses leave on line 9?"),
    Asked("How much of the cherry harvest was lost to frost?"),
    Asked("Who funded the lithium electrode research?"),
    Asked("Which country was guest of honour at last year's book fair?"),
    Asked("How much does a day pass for the zoo cost?"),
    Asked("How many rings were taken from the jewellery shop on Postal Street?"),
    Asked("Who is the new coach of HC Steel?"),
    Asked("What temperature was measured on Lysa Hora?"),
    Asked("What was the goodput of run mini-moe at step 600?"),
    Asked("How much does the pub quiz cost?"),
    Asked("How many doctors took part in dr_kral's study?"),
    Asked("How much do the snow leopard cubs weigh?"),
    Asked("How much does Moth & Lantern cost?"),
    Asked("When will the Juniper probe return to Earth?"),
    Asked("What are the visiting hours in the maternity ward?"),
    Asked("How much do the hydrogen buses cost?"),
    Asked("How long will the power cut in Poruba last?"),
    Asked("Will the steel works be turned into flats?"),
    Asked("Who opened for Ewa Lis in Ostrava?"),
    Asked("Whose apple strudel was voted best in the city?"),
    Asked("How many teachers work at the school in Radvanice?"),
    Asked("Are phones banned in class?"),
    Asked("How old is Hukvaldy castle?"),
    Asked("Where is the Odra bike path flooded?"),
    Asked("How many students does the technical university have?"),
    Asked("What colour was the steam engine in Bohumin?"),
    Asked("Who lost the keys with the red ribbon?"),
    Asked("When was the jewellery shop on Postal Street founded?"),
    Asked("Is line 8 running on Sunday night?"),
    Asked("What is the tallest building in Dubai?"),
    Asked("How do vaccines work?"),
    Asked("Which films are showing at the Lucerna tonight?"),
    Asked("Who discovered penicillin?"),
    Asked("When is the deadline for tax returns in Austria?"),
    Asked("How many moons does Saturn have?"),
    Asked("What did @mayor_kolar say about parking?"),
    Asked("What did @zoo_os post about penguins?"),
)  # fmt: skip


def fourth_feed() -> SmallFeed:
    feed = SmallFeed()
    feed.add(*(post(str(number), *line) for number, line in enumerate(_POSTS)))
    return feed
