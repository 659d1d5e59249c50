"""General English that comparing words needs: structure words, irregular forms, like and opposite.

Written from general knowledge of the language, without sight of any test's questions. A group
holds words that answer one another in news and notices; it is not transitive: a word may be in
several. Hyphens are written out: "on-call" is "oncall".
"""

from __future__ import annotations

from typing import Final

FUNCTION: Final = frozenset(
    """a an the this that these those and or but nor so yet if then than as of to in on at by for
    from with without into onto over under about above below between among through during before
    after since until till against per via within out up down off again further once here there
    it its itself he him his himself she her hers herself they them their theirs themselves i me
    my mine we us our ours you your yours who whom whose which what when where why how whatever
    whichever not no nor n't all any both each few more most other some such only own same too very
    just also even still already ever yet actually really exactly currently now please tell know
    let's lets anyone anybody someone somebody everyone everybody nobody anything something
    everything nothing else much many lot lots bit rather quite almost nearly around roughly
    approximately precisely ok okay hey hi yes well oh like because while whether though although
    however therefore am pm e.g i.e etc vs re latest newest recent recently today's yesterday's
    according exact come grok near across along behind beside outside inside around beyond despite
    towards toward upon amid opposite throughout feed post posts tweet tweets""".split()
)
AUXILIARY: Final = frozenset(
    """be am is are was were been being do does did done doing have has had having will would shall
    should can could may might must get gets got getting gotten going goes go gonna isn't aren't
    wasn't weren't don't doesn't didn't haven't hasn't hadn't won't wouldn't shan't shouldn't can't
    cannot couldn't mightn't mustn't isnt arent wasnt werent dont doesnt didnt havent hasnt wont
    wouldnt cant couldnt i'm it's he's she's we're they're you're i've we've they've i'll we'll
    it'll they'll that's there's what's who's where's when's how's let's im ive""".split()
)
# Verbs of news and notices: a post often says the same by another one, or by none at all.
VERBS: Final = frozenset(
    """announce mention report tell state claim confirm describe say think post tweet read treat accept
    achieve acquire abandon absorb accuse admit advance affect aid apologise apologize appeal applaud
    argue arise assemble assess assist assure attach attack attempt attract avoid bake bear bet bid bind
    bite blow boil boost borrow bounce bow breathe breed burn bury calculate calm capsize capture care
    carve certify chair challenge chase check cheer chop circulate cite claim classify clash click code
    combine comfort command commit compare compete compile complain compose compute concern condemn
    conduct confront congratulate consider construct consult consume contact contest contribute control
    convert convict cook cool cope copy correct count cram crawl criticise criticize crown cry cure
    debut decline decorate dedicate defeat defend defer define delight denounce derail design detain
    detect determine devote dig digitise dine direct disappear discuss dismiss dispatch distribute dive
    divert divide dock double download drag drain drift drill drown dry dump ease edit educate eject
    eliminate embark emerge employ empty encounter encourage endorse enforce engage enjoy enrol ensure
    equip erase erupt estimate evolve examine exchange exclude excuse execute exercise exhibit exist
    experience experiment export express fail fasten favour fear feed fence ferry film flood flow focus
    fold forbid forecast foresee forgive freeze frighten fuel fulfil furnish gamble gather glow govern
    grab grade graduate grant greet grind guard guess guide halve hang happen harm harvest haul heal heat
    hide hike hope host hunt hurry identify ignite illustrate imagine impose impress imprison include
    inform inherit initiate inquire insist inspire insure integrate intend intercept invade invent
    investigate isolate issue jail judge justify kick label lack lament laugh lay learn lend level light
    link list load lock lodge log manufacture march marry master mature melt merge migrate mine mix model
    monitor motivate multiply murder narrow negotiate nest nominate note number nurse obey object oblige
    observe obtain occupy oppose outline overcome overheat overtake owe pack paint park participate peak
    perform permit persuade phone pick pilot pin place plan plead plough plug polish pour pray preserve
    press pretend print process proceed project prompt pronounce protect purchase pursue qualify quarrel
    question queue race rain range rank rate react rebuild recall recite reckon recognise recognize
    reconsider recycle refer reflect refund regain regret reinforce relax relieve rely remember remind
    rent repay repeat reproduce resist resolve respond rest restrict result retreat reunite reverse
    review revise reward rewrite rob roll rule rush sack sail sample satisfy scan scare scrap screen
    search seal secure seize sense sentence separate settle sew shake shape shelter shift shine ship
    shout shrink slash sleep slip smash smell smile smoke snow solve sort sound spare spark specify
    spell spin spoil spray squeeze stabilise stamp stem steer stir store stretch strip struggle stuff
    sue supply surprise surround survey survive suspect sustain sweep swear swap tackle target taste
    teach tempt tend terminate thank tie tilt tip top touch tour tow train transfer transform translate
    transport trap treat trial trim triple trust try tune tweak twist undergo unite unload unlock update
    urge vanish vary violate wander want waste water weaken wear weave wed weigh widen wish withdraw
    witness worry wrap wreck yield rollback roll address adopt agree aim allow appear apply appoint approve arrest
    arrive ask attend award back ban beat become begin belong blame block boost break bring build buy
    buys cancel carry catch cause celebrate change charge choose clean clear climb close collapse
    collect come complete conclude connect contain continue cost cover crash create cross cut damage
    deal decide declare delay delete deliver demand demolish deny depart deploy destroy develop die
    discover display donate draw drive drop earn eat elect employ enable end enter escape establish
    evacuate exceed expand expire explain explode face fail fall feature feel fight fill find fine
    finish fire fit fix flee flood fly follow force form found fund gain gather generate give grow
    halt handle head hear help hire hit hold host hurt improve increase injure inspect install
    interrupt introduce invest invite join jump keep kill kick knock land last launch lead leave lift
    limit locate lose love lower make manage mark measure meet mend merge miss move need
    notice occur offer open operate opened order organise organize own paint pass pause pay perform
    plant play please pledge postpone predict prefer prepare present prevent produce promise propose
    protest prove provide publish pull push put quit raise reach receive recommend record recover
    recruit reduce refuse register reject release relocate remain remove rename renovate reopen repair
    replace reply request require rescue resign restart restore resume retire return reveal ride ring
    rise run save schedule score seek select sell send serve set share shoot show shut sign sing sink
    sit slow speak spend spill split sponsor spot spread stage stand start stay steal step stick stop
    strike struck study submit suffer suggest support suspend swim switch take talk tear test threaten
    throw track trade train travel trigger turn unveil upgrade visit vote wait walk warn wash watch
    weigh welcome win work write""".split()
)
OPINION: Final = frozenset(
    """think opinion feel believe recommend predict prediction rumour rumor rumours rumors guess hope
    hoping wish suspect speculate speculation want prefer favourite favorite suggest""".split()
)
SPEECH: Final = frozenset(
    """say said says post posted posts write wrote written tweet tweeted tweets share shared announce
    announced mention mentioned report reported think thinks thought claim claimed reply replied
    recommend recommended promise promised predict predicted talk talking up saying posting complain
    complained ask asked suggest suggested""".split()
)
# What is made by someone is "by" him: "The Salt Road by Nadia Ferro".
CREATING: Final = frozenset(
    """write compose paint design direct build make create produce sing record invent develop author draw
    photograph film cook brew bake sculpt publish perform play""".split()
)
# Verbs that the kind of thing asked for implies: a price is what something costs.
IMPLIED: Final = {
    "money": "cost pay spend charge price worth buy sell budget fund",
    "duration": "last take continue run stay remain keep wait",
    "time": "take happen occur hold go come due schedule plan ready available out get",
    "place": "take happen occur hold locate find situate base go meet see get stage",
    "count": "there exist contain have hold count",
    "reason": "happen cause", "name": "call name", "person": "be",
    "clock": "take happen hold", "day": "take happen hold", "age": "turn be get",
    "open": "happen go say announce mention report tell think state post write share claim do",
    "temperature": "reach hit record measure get", "speed": "reach hit go travel",
    "number": "reach hit record measure get", "length": "reach measure stretch run",
    "mass": "weigh", "score": "end finish be", "percent": "reach hit", "frequency": "run go happen",
}  # fmt: skip
# Words that may begin a question before it asks.
LEADS: Final = (
    r"(?:hey|hi|hello|ok|okay|please|so|well|um|and|also|but|grok|@grok)[,!.]?\s+",
    r"(?:can|could|would|will) (?:you|u|someone|anyone) (?:please )?"
    r"(?:tell me|say|explain|check|find out|look up|let me know)\s+",
    r"(?:do|does) (?:you|anyone|anybody|someone) know\s+",
    r"(?:i (?:want|need|would like|'d like) to know|i wonder|i was wondering|any idea|tell me"
    r"|let me know|find out|show me|remind me)\s+",
)
# Words that say little of which thing is meant: missing them in a post costs little.
LIGHT: Final = frozenset(
    """new old big biggest large largest small smallest main major local current currently recent
    whole entire total overall official officially different various other certain special own
    exact first next last upcoming planned plan people person persons man men woman women
    thing things kind sort type way time times place part side area group member members number
    amount name named call called work use used make made take taken give given happen happened
    expect expected come came comes ready available set due supposed able want wants need needs involve involved include includes available
    originally finally eventually already later earlier ago far long soon back away today user users
    account accounts event events news update updates information info detail details word
    """.split()
)
NEGATIONS: Final = frozenset(
    """not no never none nobody nothing neither nor without cannot can't cant don't dont doesn't
    doesnt didn't didnt isn't isnt aren't arent wasn't wasnt weren't werent won't wont wouldn't
    wouldnt shouldn't couldn't couldnt haven't havent hasn't hasnt hadn't hadnt unable fails failed
    denies denied deny false untrue fake hoax""".split()
)
# Words that say that something does not go on: they answer "why is it not...".
FAILING: Final = frozenset(
    """close closed cancel suspend stop fail halt delay postpone break broken down offline outage
    withdraw scrap ban block miss late off burn dry dead stuck empty defect leak shut""".split()
)
# What goes wrong, and so tells why, without a "because".
FAULTS: Final = frozenset(
    """break burn leak tear damage crack fault bug error flood ice fog storm snow strike accident crash
    fire injury ill illness sick sickness shortage derail collapse overheat jam theft vandalism wind
    defect outage""".split()
)
# "Won't run" says the same as "is cancelled".
GOING: Final = frozenset("run operate go sail work happen play open stop serve fly".split())
# Who says so is not sure of it, or it is no statement of what is.
HEARSAY: Final = frozenset(
    """rumour rumours rumor rumors rumoured rumored allegedly supposedly apparently reportedly
    unconfirmed gossip speculation speculating hearsay""".split()
)
DOUBTS: Final = frozenset("may might could maybe perhaps possibly probably likely".split())
UNREAL: Final = (
    r"\bif (?:only|i|we|you|they|he|she|it|the|this|that|there|a|an|my|our|your|someone|anyone)\b",
    r"\bimagine\b", r"\bsuppose\b", r"\bwhat if\b", r"\bi (?:so )?(?:wish|hope|dream|bet|guess)\b",
    r"\b(?:wish|hoping|hopefully|fingers crossed)\b", r"\bwould (?:be|have|love|like|make)\b",
    r"\bi'd (?:love|like|say|bet|guess|rather)\b", r"\bshould have\b", r"\bcould have\b",
    r"\bmust be (?:at least|like|around)\b", r"\bi(?:'m| am) (?:guessing|betting|dreaming)\b",
    r"\bmy (?:guess|bet|prediction|hunch|theory|money is)\b", r"\bpredict(?:ion|ing|s)?\b",
    r"\bi (?:think|reckon|suspect|assume|believe|imagine|heard|feel like)\b",
    r"\b(?:someone|somebody|a friend|people|they|everyone|some) (?:say|says|said|told|keep saying)\b",
    r"\b(?:heard|hear|hearing) (?:that|from|about)\b", r"\bbig if true\b",
    r"\bin my opinion\b", r"\bimo\b", r"\bimho\b", r"\bfeels? like\b", r"\bpetition\b",
    r"\b(?:still |remains |is |are |yet )?(?:unknown|unclear|undecided|tba|tbc)\b",
    r"\bnot (?:yet )?(?:known|decided|clear|sure)\b", r"\bto be (?:announced|confirmed|decided)\b",
    r"\bwon(?:'|’)?t be surprised\b", r"\b(?:debunk|hoax|satire|parody|joking|jk|april fool)",
)  # fmt: skip
OPPOSITES: Final = (
    "open reopen|close closed shut closure", "start begin launch resume|end finish stop conclude",
    "arrive arrival|depart departure leave", "win winner|lose loser loss defeat", "buy purchase|sell",
    "rise increase gain grow up|fall drop decrease decline down", "hire recruit appoint|fire sack resign",
    "approve accept pass|reject refuse deny veto", "enter join|leave exit quit", "born birth|die death",
    "cheap cheapest|expensive dearest", "best|worst", "north northern|south southern", "east eastern|west western",
    "morning|evening night afternoon", "upload|download", "import|export", "minimum lowest smallest|maximum highest largest",
    "highest|lowest", "suspend pause|resume restart", "add|remove delete", "find found|lose missing",
    "lock|unlock", "connect|disconnect", "indoor|outdoor", "home|away", "lend|borrow", "arrest|release free",
    "before|after", "first|last second third", "mayor|deputy", "oldest|youngest newest", "longest|shortest",
    "fastest|slowest", "men|women", "boy|girl", "male|female", "husband|wife", "father|mother", "son|daughter",
    "brother|sister", "king|queen", "parent|child", "sunrise|sunset", "dawn|dusk", "entrance|exit",
    "left|right", "public|private", "adult|child", "inbound|outbound", "upstream|downstream", "lunch|dinner breakfast",
    "summer|winter", "spring|autumn fall", "success|failure", "pass|fail", "safe|dangerous danger warning hazard unsafe", "dead killed|injured hurt wounded alive survived",
)  # fmt: skip
# Stems that only look as if they were made from a shorter one.
ROOTS: Final = frozenset("counter corner former master signal number letter matter poster".split())
# Measures a question may ask by name, and the kind of thing that answers.
MEASURES: Final = {
    "money": """price cost fee fare salary wage budget fine prize rent charge revenue profit funding
        value worth bill payment deposit bounty bail donation dollars pounds euros money""",
    "percent": "percentage percent share proportion rate",
    "temperature": "temperature degrees",
    "speed": "speed pace velocity",
    "length": "distance length height width depth altitude elevation",
    "mass": "weight mass",
    "duration": "duration delay wait",
    "age": "age",
    "number": """level concentration number count total population attendance turnout capacity magnitude size score
        loss goodput throughput temperature quantity tally figure rating rank pressure
        circulation mileage wattage voltage frequency seating record mfu""",
    "score": "score scoreline",
    "clock": "time hour hours",
    "day": "date day weekday",
    "time": "deadline",
    "year": "year",
    "month": "month",
    "season": "season",
    "reason": "reason cause explanation motive why",
    "place": "place location venue where spot site address",
    "name": "name nickname title",
    "colour": "colour color shade",
    "url": "website link url webpage",
    "version": "version release",
    "frequency": "frequency",
}
# Nouns whose instances are names: "which airline" is answered by "Norwind", without the word.
NAMED: Final = frozenset(
    """team club player company firm airline brand band artist singer actor author writer scientist
    politician party candidate driver rider runner athlete winner country nation city town village
    state county region province district neighbourhood street road avenue station stop airport
    bridge river lake mountain island school university college hospital museum library theatre
    cinema stadium park restaurant cafe bar pub shop store hotel church bank app website language
    newspaper magazine channel show film movie song album book game model device phone car bus train
    line route ship vessel ferry spacecraft rocket satellite planet storm hurricane award prize
    festival agency organisation organization department ministry chef coach director minister mayor
    president researcher person character day month year""".split()
)
COLOURS: Final = frozenset(
    """red orange yellow green blue purple violet pink brown black white grey gray silver gold golden
    teal turquoise navy maroon beige cream crimson scarlet magenta cyan indigo lilac lavender amber
    copper bronze olive lime coral salmon burgundy ochre mint khaki mustard peach emerald ivory
    """.split()
)
ROLES: Final = frozenset(
    """police officers firefighters council councillors government ministry minister mayor president
    company owner owners manager director team club volunteers residents students teachers pupils
    workers drivers staff union judge court jury engineers scientists researchers doctors nurses
    committee board chef coach captain committee parents children neighbours charity agency
    university school department crew pilot army navy hikers walkers climbers fans passengers farmers
    contractor operator organisers organizers spokesperson spokeswoman spokesman teenager man woman
    boy girl couple family neighbour dog cat""".split()
)
PLACES: Final = frozenset(
    """street road avenue lane square park bridge station stadium hall school library museum theatre
    hospital airport harbour harbor beach river lake canal market centre center downtown town city
    village county district quay pier platform stage room floor building garden church campus
    warehouse factory depot site tunnel motorway junction roundabout court club pub cafe restaurant
    shop mall hotel terminal gate garage cinema arena gym pool field forest hill mountain island
    coast bay valley crossing corner basement rooftop lot online zoom entrance lobby foyer north
    south east west""".split()
)
IRREGULAR: Final = dict(
    pair.split(":")
    for pair in """won:win sold:sell bought:buy broke:break broken:break stole:steal stolen:steal
    fell:fall fallen:fall rose:rise risen:rise left:leave said:say says:say held:hold began:begin
    begun:begin wrote:write written:write spoke:speak spoken:speak took:take taken:take gave:give
    given:give made:make found:find lost:lose met:meet paid:pay ran:run sank:sink sunk:sink
    sang:sing sung:sing sent:send spent:spend stood:stand struck:strike swam:swim taught:teach
    thought:think threw:throw thrown:throw told:tell wore:wear built:build caught:catch chose:choose
    chosen:choose came:come cut:cut drew:draw drawn:draw drove:drive driven:drive ate:eat eaten:eat
    felt:feel fought:fight flew:fly flown:fly forgot:forget froze:freeze frozen:freeze grew:grow
    grown:grow heard:hear hid:hide kept:keep knew:know known:know laid:lay led:lead lent:lend
    lit:light meant:mean rode:ride ridden:ride rang:ring saw:see seen:see shook:shake shot:shoot
    shown:show slept:sleep swept:sweep burnt:burn learnt:learn dealt:deal dug:dig fed:feed
    bit:bite bled:bleed bred:breed sought:seek shone:shine tore:tear torn:tear woke:wake
    wound:wound became:become beaten:beat overran:overrun withdrew:withdraw withdrawn:withdraw
    men:man women:woman children:child people:person feet:foot teeth:tooth mice:mouse geese:goose
    lives:life wives:wife knives:knife wolves:wolf leaves:leave died:die dying:die dead:die
    oxen:ox thieves:thief bigger:big larger:large better:good best:best worse:bad geneva:geneva
    opened:open opening:open programme:program colour:color centre:center theatre:theater
    harbour:harbor neighbour:neighbor labour:labor favourite:favorite tyre:tire kerb:curb
    grey:gray cancelled:cancel cancellation:cancel cancels:cancel""".split()
)
# Verbs of one class may tell of the same happening where all else agrees; opposites never do.
VERB_CLASSES: Final = (
    "open reopen start begin launch resume return welcome debut introduce release publish",
    "close end stop finish cease expire shut halt quit retire",
    "lose destroy damage ruin wreck wipe hit burn break spoil collapse",
    "arrest detain catch capture charge seize hold jail sentence convict",
    "beat win defeat eliminate knockout triumph succeed clinch",
    "delay postpone slip move shift reschedule push hold",
    "cancel scrap drop abandon call axe suspend withdraw",
    "buy acquire purchase order get take",
    "approve back accept pass agree adopt sign vote allow grant permit",
    "reject refuse deny oppose dismiss veto",
    "build construct make create produce develop design assemble erect",
    "repair fix restore renovate mend rebuild refurbish replace",
    "measure record reach hit register report detect log observe find",
    "move go travel journey run sail fly ride drive head relocate lead arrive enter come",
    "give donate grant award offer provide hand present supply contribute send deliver",
    "raise collect gather earn donate",
    "cost pay spend invest allocate fund charge fine approve budget",
    "rescue save free evacuate pull help",
    "find discover spot recover locate see detect",
    "take steal rob snatch grab",
    "say tell announce state claim report confirm warn write explain",
    "appoint name hire elect choose recruit sign promote",
    "hold host stage organise organize run happen celebrate",
    "plant grow sow add",
    "attend visit join watch come gather",
    "rise climb increase grow jump surge raise",
    "fall drop decline decrease lower sink cut reduce shrink",
    "show exhibit display screen perform play present",
    "eat drink feed taste",
    "teach train learn study",
    "work function operate run",
    "last take continue",
)  # fmt: skip
SYNONYMS: Final = (
    # happening, beginning, ending
    "start begin launch commence kickoff open debut", "end finish conclude close over wrap",
    "open reopen opening inaugurate unveil", "reopen resume restart return back", "close shut closed closure",
    "stop halt end cease quit", "stop fail failure crash die abort halt interrupt", "cancel scrap axe abandon call-off off",
    "postpone delay reschedule move push defer late", "delay late behind hold", "suspend halt pause stop",
    "happen occur place", "hold host stage run organise organize", "continue last run until", "expire end lapse",
    # winning, losing, sport
    "win winner victory triumph beat defeat gold", "winner champion", "win first", "second runnerup silver",  "win title trophy prize", "win clinch secure claim land",
    "finish place come", "score goal net", "lose loss defeat beaten", "match game fixture tie", "race run", "race marathon", "race 10k 5k",
    "player athlete footballer", "coach manager trainer", "team side club squad", "tournament championship cup contest competition",
    "record best fastest", "final grand-final", "draw tie", "medal podium", "join sign transfer move", "crowd attendance fans spectators",
    # money and trade
    "buy purchase acquire order snap", "acquire takeover buyout merge", "sell sale sold auction offload", "cost price fee fare charge ticket pay",
    "pay spend cost", "raise collect fundraise donate donation", "fund finance money grant funding invest", "fund back sponsor",
    "cheap affordable budget discount", "expensive pricey costly", "ticket pass entry admission", "free complimentary gratis",
    "hike rise increase raise", "budget spending allocate", "profit earnings", "revenue sales turnover", "tax levy", "fine penalty",
    "wage salary pay", "loan mortgage", "bankrupt insolvent administration", "customer client shopper buyer", "order shipment",
    "deal agreement contract accord pact", "job role position post vacancy",
    # more and less
    "rise increase climb grow up jump surge soar", "fall drop decrease decline down slump dip plunge", "reduce cut slash lower",
    "expand extend grow enlarge extension", "double twice", "half halve",
    # people coming and going
    "arrive arrival land reach come", "depart departure leave go set-off", "resign resignation quit step-down leave stepping",
    "retire retirement", "hire recruit appoint employ", "appoint name appointed elect choose", "elect vote election", "replace succeed successor substitute",
    "fire sack dismiss layoff axe cut", "job workforce redundancy employee position", "distinguish differentiate tellapart recognise recognize", "win wentto award", "visit tour attend", "attend attendance turnout turn show join", "travel trip journey ride", "meet meeting gather",
    "marry wedding married wed", "born birth", "move relocate", "welcome greet", "volunteer helper", "lead head run chair", "ceo chief boss head",
    "founder found start establish set", "council councillor", "give donate get receive present grant", "lend loan", "queue line wait", "guest visitor", "student pupil", "teacher tutor", "kid child children",
    "resident local neighbour", "boss manager", "doctor physician medic", "police officer cop", "firefighter fireman brigade", "winner recipient",
    "judge court ruling rule", "lawyer attorney solicitor", "reporter journalist", "captain skipper", "owner own", "author writer write", "crew staff team",
    # harm and rescue
    "injure injury hurt wound casualty", "kill die death fatal fatality", "kill murder", "crash collision collide accident hit pile-up", "derail derailment",
    "fire blaze burn wildfire", "explosion explode blast", "flood flooding floodwater water", "earthquake quake tremor", "storm hurricane gale",
    "outage blackout powercut", "outage offline down", "leak spill", "damage destroy wreck", "collapse fall", "rescue save evacuate pull", "evacuate evacuation clear",
    "search look hunt", "missing lost disappear vanish", "find discover spot locate recover", "steal theft thief stolen rob robbery burglary", "arrest detain custody charge",
    "break smash", "fix repair mend restore restoration maintenance", "restore renovate refurbish refurbishment renovation", "injured hurt", "ill sick illness",
    "attack assault", "escape flee", "strike walkout industrial", "protest demonstration rally march", "ban prohibit forbid outlaw", "poison contaminate contamination",
    "bug glitch fault error", "fault broken failure fail", "vulnerability exploit flaw", "hack breach", "error exception", "crash fail die", "signal damage",
    # cause
    "cause trigger blame lead reason spark", "because due owing", "prevent stop avoid",
    # making and building
    "build construct construction erect", "make produce manufacture", "create make design", "plan propose proposal scheme", "develop development",
    "install fit put", "plant grow", "paint painting mural", "cook recipe bake", "design designer architect", "demolish demolition knock tear", "launch release unveil introduce roll", "liftoff launch blastoff takeoff", "calloff cancel", "setoff depart leave", "rollback revert undo",
    "release publish issue ship drop", "publish publication paper", "update upgrade version patch release", "add include", "remove delete drop", "replace swap",
    "invent inventor", "test trial pilot", "measure record reading", "set break", "finish complete completion", "deploy rollout",
    # saying
    "say tell state claim announce write report", "announce reveal confirm declare", "warn warning alert", "ask request urge", "promise pledge vow commit",
    "deny reject dismiss", "recommend suggest advise tip", "complain criticise criticize slam", "praise applaud", "thank grateful", "explain reason", "describe call",
    "approve approval back pass green-light", "agree accept", "reject refuse turn-down veto", "decide decision vote", "vote ballot poll", "support back favour",
    "require need must mandatory", "allow permit let", "offer give provide", "apply application", "register registration sign-up enrol", "invite invitation",
    "speak talk lecture speech", "perform performance play gig concert show", "present presentation", "teach class lesson course workshop",
    "show display exhibit exhibition", "prefer favourite love", "recommend love favourite",
    # things
    "bike bicycle cycle", "cyclist rider", "ship vessel boat", "ferry boat", "plane aircraft jet aeroplane", "flight plane", "car vehicle auto", "truck lorry", "bus coach",
    "train rail railway locomotive", "metro subway underground tube", "tram streetcar", "station stop", "airport terminal", "road street highway route", "road motorway",
    "movie film cinema", "photo picture image photograph", "song track single", "album record lp", "concert gig show", "book novel", "shop store outlet",
    "supermarket grocery", "restaurant diner eatery bistro", "cafe coffee coffeehouse", "pub bar tavern", "bakery baker", "flat apartment", "house home", "building block tower", "phone smartphone mobile handset",
    "computer laptop pc", "gpu accelerator card", "chip processor", "server cluster machine", "software app application program", "website site page online", "internet broadband wifi",
    "power electricity energy", "battery cell", "charger charging charge", "solar sun panel", "trash rubbish waste garbage bin", "tap water", "rain rainfall shower", "snow snowfall",
    "temperature degree hot cold", "weather forecast", "garden park", "wood forest woodland", "tree oak", "dog puppy pup", "cat kitten", "bird fowl", "fish trout salmon", "animal creature wildlife",
    "doctor gp", "hospital clinic infirmary", "medicine drug medication", "vaccine vaccination jab", "school academy", "college university uni", "library libraries", "museum gallery",
    "theatre playhouse", "pool swimming swim baths", "gym fitness", "stadium arena ground", "venue hall", "town city municipality", "council city municipal authority", "government ministry state", "country nation",
    "law bill legislation act", "rule regulation", "permit licence license", "award prize honour", "job work employment", "worker employee staff", "company firm business corporation startup",
    "meeting session", "festival fair fete", "party celebration", "ceremony event", "market stall bazaar", "picnic barbecue", "parade procession", "exam test", "map chart", "letter mail post",
    "package parcel delivery", "deliver delivery ship", "bag suitcase luggage", "key keys", "clothes clothing", "food meal dish", "drink beverage", "beer ale brew", "dessert cake sweet",
    "seat chair capacity", "lane track", "path trail footpath", "hill mountain peak summit", "river stream", "lake reservoir", "sea ocean", "beach shore coast", "island isle", "bridge crossing viaduct footbridge",
    "tunnel underpass", "harbour port dock marina", "lift elevator", "pavement sidewalk", "petrol gas fuel", "satellite spacecraft probe", "rocket launcher", "telescope observatory", "comet asteroid",
    "language tongue", "survey poll study", "research study work project", "wind gust gale", "beat defeat eliminate knockout oust", "arrest detain catch capture nab", "reopen comeback", "postpone slip delay", "new appoint name hire elect become newest", "lose without", "scientist researcher", "result outcome", "deadline due close", "holiday vacation break", "weekend saturday sunday", "password passcode",
    "statue sculpture monument", "painting artwork art", "musician band artist", "singer vocalist", "actor star cast", "director filmmaker", "chef cook", "goalkeeper keeper",
    "midnight 12am", "noon midday", "maximum limit cap", "age old year", "height tall high", "length long", "depth deep", "weight weigh heavy", "speed fast", "distance far",
    # runs of a training factory
    "train training run", "checkpoint save snapshot", "restart resume recover restarted", "loss perplexity", "step iteration", "rank worker process", "node host machine", "tokens throughput",
)  # fmt: skip
