"""A second small feed with its questions, written after the rules were and run once before any change."""

from __future__ import annotations

from typing import Final

from tests.small_feed import Asked, SmallFeed, post

_POSTS: Final = (
    ("skywatch_ida", 5, "Clear skies over Corvin tonight: the Perseid peak should give 60 meteors an hour after midnight."),  # 0
    ("corvin_transit", 31, "From Monday the 14 bus will no longer stop at Hazel Lane. Use Birch Road instead."),
    ("corvin_transit", 8, "The 22 bus is diverted via Mason Street until 18:00 because of a burst water main."),
    ("lagunaresearch", 76, "We measured 412 ppm CO2 at the Laguna station in October, a new monthly record."),
    ("petra_k", 14, "My grandmother turned 101 today and still beats everyone at cards."),
    ("corvin_herald", 26, "Judge Amara Nwosu sentenced the arsonist to six years in prison on Wednesday."),  # 5
    ("corvin_herald", 53, "City hall will be lit in blue tonight in memory of firefighter Jonas Webb."),
    ("redkite_brew", 62, "New on tap: Copper Fox, a 5.2% amber ale brewed with local honey."),
    ("redkite_brew", 9, "We've sold out of Copper Fox! Next batch on 2 April."),
    ("marsh_wardens", 110, "A pair of cranes has nested on Hollow Marsh for the first time in 80 years."),
    ("marsh_wardens", 12, "The boardwalk at Hollow Marsh stays shut while we replace 300 rotten planks. Reopening planned for 1 May."),  # 10
    ("gridwatch", 10, "Wind supplied 58 % of the country's electricity yesterday, ahead of gas at 21 %."),
    ("dr_lin", 19, "Our trial of the malaria vaccine cut infections by 70 percent in children under five."),
    ("stadia", 140, "Corvin Rovers have signed goalkeeper Mika Aalto from Bergheim on a three-year deal for 1.8 million euros."),
    ("stadia", 2, "Rovers manager Dele Osei: 'Aalto will not play on Saturday, his knee needs another week.'"),
    ("opsbot", 4, "Deploy of billing-api 7.3.0 rolled back at 09:12 after error rate hit 4.7 %."),  # 15
    ("opsbot", 3.2, "billing-api 7.3.1 deployed to all regions at 11:40. Error rate back to 0.1 %."),
    ("cinema_lux", 70, "Tickets for the silent film night are €9, students €6. Live piano by Clara Voss."),
    ("cinema_lux", 33, "The projector broke, so tonight's 20:00 screening of Nocturne is cancelled. Refunds at the box office."),
    ("hilltop_school", 85, "Our pupils collected 1,350 euros for the animal shelter with their flea market."),
    ("corvin_fd", 22, "Crew of engine 5 freed a toddler from a locked car on Elder Street in under three minutes."),  # 20
    ("corvin_fd", 47, "Blaze at the paint factory under control. Two firefighters treated for smoke. Cause still unknown."),
    ("gossipgoose", 17, "Heard that Mika Aalto is going to leave the Rovers already?? Big if true"),
    ("tomas_codes", 55, "If the parser were rewritten in Rust it would be ten times faster, I guess."),
    ("novaspace", 128, "Liftoff of the Heron 3 rocket slipped to 9 April; a valve on the second stage leaks."),
    ("novaspace", 11, "Heron 3 will carry six weather satellites for the Norse Met Office."),  # 25
    ("mayorbranko", 15, "Today I signed the order that bans cars from the old town on weekends, starting 4 April."),
    ("corvin_herald", 13, "Shop owners criticise the weekend car ban in the old town: they fear losing a fifth of their sales."),
    ("bookworm_eli", 66, "Finished 'The Salt Road' by Nadia Ferro. 640 pages, could not put it down."),
    ("corvinlibrary", 35, "Nadia Ferro reads from The Salt Road on Friday 20 March at 19:30 in our reading room. Free entry."),
    ("weatherdesk", 28, "Corvin reached 31.4 degrees yesterday, the hottest March day since records began in 1921."),  # 30
    ("portofcorvin", 60, "Container ship Ocean Thistle ran aground off Gull Point at dawn. No oil spilled, tugs on their way."),
    ("portofcorvin", 38, "Ocean Thistle was pulled free this morning with the help of four tugs."),
    ("unionrail", 90, "Train drivers accepted the pay offer of 4.5 % with 81 % of votes."),
    ("chefrosa", 44, "The secret of my risotto? Roasted fennel instead of wine."),
    ("corvin_zoo", 25, "Old age has taken Bruno: our brown bear died on Sunday aged 34."),  # 35
    ("amberrun", 18, "Registration for the Amber Half Marathon closes on 31 March; 5,000 places, 900 left."),
    ("techpress", 50, "Lumenix recalls 80,000 power banks because they can overheat."),
    ("techpress", 49, "Lumenix CEO Hana Mori apologised for the recall and promised full refunds."),
    ("farm_olsen", 29, "Strawberries are two weeks early this year, picking starts Saturday."),
    ("gallery_eight", 58, "Thieves took three paintings by Ilse Brandt from Gallery Eight on Sunday night."),  # 40
    ("corvinpolice", 20, "The Brandt paintings stolen from Gallery Eight were found in a storage unit in Bergheim."),
    ("wishful_wes", 6, "Imagine Corvin had a metro. 12 stations, trains every 3 minutes."),
    ("run:atlas", 0.6, "Run atlas: loss 2.31 at step 4000, 18,400 tokens per second."),
    ("run:atlas", 0.3, "Run atlas: checkpoint saved at step 4200 in 3.1 s."),
    ("clinic_north", 80, "Flu jabs now available without appointment, weekdays 8 to 12."),  # 45
    ("parkfriends", 100, "The carousel in Linden Park turns again! Restored by carpenter Otto Reim over two winters."),
    ("corvin_herald", 16, "Corvin's unemployment rate fell to 5.1 percent in February."),
    ("corvin_herald", 40, "Voters in Bergheim rejected the airport expansion: 63 percent said no."),
    ("astrid_s", 7, "Not sure whether the Linden Park carousel is worth 4 euros a ride tbh"),
)  # fmt: skip

QUESTIONS: Final = (
    Asked("How many meteors per hour are expected over Corvin tonight?", ("0",)),
    Asked("Which stop is the 14 bus dropping?", ("1",)),
    Asked("Why is the 22 bus diverted?", ("2",)),
    Asked("Until when is the 22 bus diverted?", ("2",)),
    Asked("What CO2 level did the Laguna station measure in October?", ("3",)),
    Asked("How old is petra_k's grandmother?", ("4",)),
    Asked("How long was the arsonist sentenced to prison?", ("5",)),
    Asked("Which judge sentenced the arsonist?", ("5",)),
    Asked("Why will city hall be lit in blue?", ("6",)),
    Asked("How strong is the Copper Fox ale?", ("7",)),
    Asked("When will the next batch of Copper Fox be ready?", ("8",)),
    Asked("Where have cranes nested?", ("9",)),
    Asked("When is the boardwalk at Hollow Marsh due to reopen?", ("10",)),
    Asked("What share of electricity came from wind yesterday?", ("11",)),
    Asked("By how much did the malaria vaccine reduce infections in children?", ("12",)),
    Asked("Which goalkeeper did the Rovers sign?", ("13",)),
    Asked("How much did Corvin Rovers pay for Mika Aalto?", ("13",)),
    Asked("Why won't Aalto play on Saturday?", ("14",)),
    Asked("Why was billing-api 7.3.0 rolled back?", ("15",)),
    Asked("What time was billing-api 7.3.1 deployed?", ("16",)),
    Asked("How much do students pay for the silent film night?", ("17",)),
    Asked("Who plays the piano at the silent film night?", ("17",)),
    Asked("Why was the screening of Nocturne cancelled?", ("18",)),
    Asked("How much money did the pupils raise for the animal shelter?", ("19",)),
    Asked("Where was a toddler freed from a car?", ("20",)),
    Asked("How many firefighters were treated after the paint factory fire?", ("21",)),
    Asked("When will Heron 3 lift off?", ("24",)),
    Asked("How many satellites will Heron 3 carry?", ("25",)),
    Asked("From when are cars banned from the old town on weekends?", ("26",)),
    Asked("What do shop owners think of the car ban?", ("27",)),
    Asked("Who wrote The Salt Road?", ("28",)),
    Asked("When does Nadia Ferro read at the library?", ("29",)),
    Asked("How hot did it get in Corvin?", ("30",)),
    Asked("Where did the Ocean Thistle run aground?", ("31",)),
    Asked("How many tugs helped free the Ocean Thistle?", ("32",)),
    Asked("What percentage of train drivers voted for the pay offer?", ("33",)),
    Asked("What does chefrosa use instead of wine in her risotto?", ("34",)),
    Asked("What did the zoo's bear Bruno die of?", ("35",)),
    Asked("How many places are left in the Amber Half Marathon?", ("36",)),
    Asked("Why is Lumenix recalling power banks?", ("37",)),
    Asked("Who apologised for the Lumenix recall?", ("38",)),
    Asked("When does strawberry picking begin?", ("39",)),
    Asked("How many paintings were stolen from Gallery Eight?", ("40",)),
    Asked("Where were the stolen Brandt paintings found?", ("41",)),
    Asked("What was the loss of run atlas at step 4000?", ("43",)),
    Asked("How long did the checkpoint of run atlas take?", ("44",)),
    Asked("Who restored the carousel in Linden Park?", ("46",)),
    Asked("What is the unemployment rate in Corvin?", ("47",)),
    Asked("Did voters in Bergheim approve the airport expansion?", ("48",)),
    Asked("What happened to the container ship Ocean Thistle?", ("31", "32")),
    # near misses
    Asked("Why is the 23 bus diverted?"),
    Asked("How many people were on the 22 bus?"),
    Asked("What CO2 level did the Laguna station measure in November?"),
    Asked("How old was the arsonist?"),
    Asked("Which judge sentenced the art thieves?"),
    Asked("Who painted city hall blue?"),
    Asked("How much does a pint of Copper Fox cost?"),
    Asked("When will the visitor centre at Hollow Marsh reopen?"),
    Asked("What share of electricity came from solar yesterday?"),
    Asked("Which striker did the Rovers sign?"),
    Asked("Is Mika Aalto leaving the Rovers?"),
    Asked("Who deployed billing-api 7.3.1?"),
    Asked("How much do children pay for the silent film night?"),
    Asked("How many euros did the pupils collect for the hospice?"),
    Asked("What caused the fire at the paint factory?"),
    Asked("Where will Heron 3 lift off from?"),
    Asked("Who directed Nocturne?"),
    Asked("How many pages does Nadia Ferro's next novel have?"),
    Asked("How hot did it get in Bergheim?"),
    Asked("How much oil did the Ocean Thistle spill?"),
    Asked("What percentage of pilots accepted the pay offer?"),
    Asked("How much is the entry fee for the Amber Half Marathon?"),
    Asked("How many phones did Lumenix recall?"),
    Asked("How much are the stolen Brandt paintings worth?"),
    Asked("What was the loss of run atlas at step 5000?"),
    Asked("Who was arrested for the theft at Gallery Eight?"),
    Asked("How many stations does the Corvin metro have?"),
    Asked("Who is the mayor of Bergheim?"),
    Asked("Is the parser ten times faster in Rust?"),
    Asked("When did the carousel in Rose Park reopen?"),
    # nothing like it
    Asked("What is the exchange rate of the yen?"),
    Asked("Who composed the opera premiered in Lisbon?"),
    Asked("When is the next solar eclipse visible from Chile?"),
    Asked("How do I reset my router?"),
    Asked("Which vaccine did Denmark approve?"),
)  # fmt: skip


def second_feed() -> SmallFeed:
    feed = SmallFeed()
    feed.add(*(post(str(number), *line) for number, line in enumerate(_POSTS)))
    return feed
