"""General English that comparing words needs: structure words, irregular forms, word lists.

Written from general knowledge of the language, without sight of any test's questions. Words of
like and of opposite meaning stand in `data/*.txt`. Hyphens are written out: "on-call" is "oncall".
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final


def word_set(listed: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(listed.split())


@cache
def lines(name: str) -> tuple[str, ...]:
    """Return the lines of "synonyms", "opposites" or "verb_classes", without remarks."""
    text = (Path(__file__).parent / "data" / f"{name}.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


FUNCTION: Final = word_set(
    """a an the this that these those and or but nor so yet if then than as of to in on at by for
    from with without into onto over under about above below between among through during
    before after since until till against per via within out up down off again further once
    here there it its itself he him his himself she her hers herself they them their theirs
    themselves i me my mine we us our ours you your yours who whom whose which what when
    where why how whatever whichever not no nor n't all any both each few more most other
    some such only own same too very just also even still already ever yet actually really
    exactly currently now please tell know let's lets anyone anybody someone somebody
    everyone everybody nobody anything something everything nothing else much many lot lots
    bit rather quite almost nearly around roughly approximately precisely ok okay hey hi yes
    well oh like because while whether though although however therefore am pm e.g i.e etc
    vs re latest newest recent recently today's yesterday's according exact come grok near
    across along behind beside outside inside around beyond despite towards toward upon amid
    opposite throughout feed post posts tweet tweets
    """
)
AUXILIARY: Final = word_set(
    """be am is are was were been being do does did done doing have has had having will would shall
    should can could may might must get gets got getting gotten going goes go gonna isn't
    aren't wasn't weren't don't doesn't didn't haven't hasn't hadn't won't wouldn't shan't
    shouldn't can't cannot couldn't mightn't mustn't isnt arent wasnt werent dont doesnt
    didnt havent hasnt wont wouldnt cant couldnt i'm it's he's she's we're they're you're
    i've we've they've i'll we'll it'll they'll that's there's what's who's where's when's
    how's let's im ive
    """
)
# Verbs of news and notices: a post often says the same by another one, or by none at all.
VERBS: Final = word_set(
    """announce mention report tell state claim confirm describe say think post tweet read treat
    accept achieve acquire abandon absorb accuse admit advance affect aid apologise
    apologize appeal applaud argue arise assemble assess assist assure attach attack attempt
    attract avoid bake bear bet bid bind bite blow boil boost borrow bounce bow breathe
    breed burn bury calculate calm capsize capture care carve certify chair challenge chase
    check cheer chop circulate cite claim classify clash click code combine comfort command
    commit compare compete compile complain compose compute concern condemn conduct confront
    congratulate consider construct consult consume contact contest contribute control
    convert convict cook cool cope copy correct count cram crawl criticise criticize crown
    cry cure debut decline decorate dedicate defeat defend defer define delight denounce
    derail design detain detect determine devote dig digitise dine direct disappear discuss
    dismiss dispatch distribute dive divert divide dock double download drag drain drift
    drill drown dry dump ease edit educate eject eliminate embark emerge employ empty
    encounter encourage endorse enforce engage enjoy enrol ensure equip erase erupt estimate
    evolve examine exchange exclude excuse execute exercise exhibit exist experience
    experiment export express fail fasten favour fear feed fence ferry film flood flow focus
    fold forbid forecast foresee forgive freeze frighten fuel fulfil furnish gamble gather
    glow govern grab grade graduate grant greet grind guard guess guide halve hang happen
    harm harvest haul heal heat hide hike hope host hunt hurry identify ignite illustrate
    imagine impose impress imprison include inform inherit initiate inquire insist inspire
    insure integrate intend intercept invade invent investigate isolate issue jail judge
    justify kick label lack lament laugh lay learn lend level light link list load lock
    lodge log manufacture march marry master mature melt merge migrate mine mix model
    monitor motivate multiply murder narrow negotiate nest nominate note number nurse obey
    object oblige observe obtain occupy oppose outline overcome overheat overtake owe pack
    paint park participate peak perform permit persuade phone pick pilot pin place plan
    plead plough plug polish pour pray preserve press pretend print process proceed project
    prompt pronounce protect purchase pursue qualify quarrel question queue race rain range
    rank rate react rebuild recall recite reckon recognise recognize reconsider recycle
    refer reflect refund regain regret reinforce relax relieve rely remember remind rent
    repay repeat reproduce resist resolve respond rest restrict result retreat reunite
    reverse review revise reward rewrite rob roll rule rush sack sail sample satisfy scan
    scare scrap screen search seal secure seize sense sentence separate settle sew shake
    shape shelter shift shine ship shout shrink slash sleep slip smash smell smile smoke
    snow solve sort sound spare spark specify spell spin spoil spray squeeze stabilise stamp
    stem steer stir store stretch strip struggle stuff sue supply surprise surround survey
    survive suspect sustain sweep swear swap tackle target taste teach tempt tend terminate
    thank tie tilt tip top touch tour tow train transfer transform translate transport trap
    treat trial trim triple trust try tune tweak twist undergo unite unload unlock update
    urge vanish vary violate wander want waste water weaken wear weave wed weigh widen wish
    withdraw witness worry wrap wreck yield rollback roll address adopt agree aim allow
    appear apply appoint approve arrest arrive ask attend award back ban beat become begin
    belong blame block boost break bring build buy buys cancel carry catch cause celebrate
    change charge choose clean clear climb close collapse collect come complete conclude
    connect contain continue cost cover crash create cross cut damage deal decide declare
    delay delete deliver demand demolish deny depart deploy destroy develop die discover
    display donate draw drive drop earn eat elect employ enable end enter escape establish
    evacuate exceed expand expire explain explode face fail fall feature feel fight fill
    find fine finish fire fit fix flee flood fly follow force form found fund gain gather
    generate give grow halt handle head hear help hire hit hold host hurt improve increase
    injure inspect install interrupt introduce invest invite join jump keep kill kick knock
    land last launch lead leave lift limit locate lose love lower make manage mark measure
    meet mend merge miss move need notice occur offer open operate opened order organise
    organize own paint pass pause pay perform plant play please pledge postpone predict
    prefer prepare present prevent produce promise propose protest prove provide publish
    pull push put quit raise reach receive recommend record recover recruit reduce refuse
    register reject release relocate remain remove rename renovate reopen repair replace
    reply request require rescue resign restart restore resume retire return reveal ride
    ring rise run save schedule score seek select sell send serve set share shoot show shut
    sign sing sink sit slow speak spend spill split sponsor spot spread stage stand start
    stay steal step stick stop strike struck study submit suffer suggest support suspend
    swim switch take talk tear test threaten throw track trade train travel trigger turn
    unveil upgrade visit vote wait walk warn wash watch weigh welcome win work write
    """
)
OPINION: Final = word_set(
    """think opinion feel believe recommend predict prediction rumour rumor rumours rumors guess
    hope hoping wish suspect speculate speculation want prefer favourite favorite suggest
    """
)
SPEECH: Final = word_set(
    """say said says post posted posts write wrote written tweet tweeted tweets share shared
    announce announced mention mentioned report reported think thinks thought claim claimed
    reply replied recommend recommended promise promised predict predicted talk talking up
    saying posting complain complained ask asked suggest suggested
    """
)
# What is made by someone is "by" him: "The Salt Road by Nadia Ferro".
CREATING: Final = word_set(
    """write compose paint design direct build make create produce sing record invent develop
    author draw photograph film cook brew bake sculpt publish perform play
    """
)
# Verbs that the kind of thing asked for implies: a price is what something costs.
IMPLIED: Final = {
    "money": "cost pay spend charge price worth buy sell budget fund",
    "duration": "last take need require continue run stay remain keep wait",
    "time": "take happen occur hold go come due schedule plan ready available out get",
    "place": "take happen occur hold locate find situate base go meet see get stage",
    "count": "there exist contain have hold count",
    "reason": "happen cause", "name": "call name", "person": "be",
    "clock": "take happen hold", "day": "take happen hold", "age": "turn be get",
    "open": "become happen go say announce mention report tell think state post write share claim"
            " do",
    "temperature": "reach hit record measure get", "speed": "reach hit go travel",
    "number": "reach hit record measure get", "length": "reach measure stretch run",
    "result": "match game fixture play end finish go do turn happen result", "price": "cost pay be",
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
LIGHT: Final = word_set(
    """instead little young nice great famous beloved so-called alleged entirely one ones longer new
    old big biggest large largest small smallest main major local current currently recent
    whole entire total overall official officially different various other certain special own
    exact first next last upcoming planned plan people person persons man men woman women
    thing things kind sort type way time times place part side area group member members
    number amount name named call called work use used make made take taken give given happen
    happened expect expected come came comes ready available set due supposed able want wants
    need needs involve involved include includes available originally finally eventually
    already later earlier ago far long soon away today user users account accounts event
    events news update updates information info detail details word
    """
)
NEGATIONS: Final = word_set(
    """not no never none nobody nothing neither nor without cannot can't cant don't dont doesn't
    doesnt didn't didnt isn't isnt aren't arent wasn't wasnt weren't werent won't wont
    wouldn't wouldnt shouldn't couldn't couldnt haven't havent hasn't hasnt hadn't hadnt
    unable fails failed denies denied deny false untrue fake hoax
    """
)
# Words that say that something does not go on: they answer "why is it not...".
FAILING: Final = word_set(
    """close closed cancel suspend stop fail halt delay postpone break broken down offline outage
    withdraw scrap ban block miss late off burn dry dead stuck empty defect leak shut
    """
)
# What goes wrong, and so tells why, without a "because".
FAULTS: Final = word_set(
    """break burn leak tear damage crack fault bug error flood ice fog storm snow strike accident
    crash fire injury ill illness sick sickness shortage derail collapse overheat jam theft
    trouble problem issue malfunction breakdown
    vandalism wind defect outage
    """
)
# "Won't run" says the same as "is cancelled".
GOING: Final = word_set("run operate go sail work happen play open stop serve fly")
# Who says so is not sure of it, or it is no statement of what is.
HEARSAY: Final = word_set(
    """rumour rumours rumor rumors rumoured rumored allegedly supposedly apparently reportedly
    unconfirmed gossip speculation speculating hearsay
    """
)
DOUBTS: Final = word_set("may might could maybe perhaps possibly probably likely")
UNREAL: Final = (
    r"^\W*heard:?\b", r"\bhave you heard\b", r"\bword is\b", r"\bthey are hiding\b",
    r"\bif (?:only|i|we|you|they|he|she|it|the|this|that|there|a|an|my|our|your|someone|anyone)\b",
    r"\bimagine\b", r"\bsuppose\b", r"\bwhat if\b", r"\bi (?:so )?(?:wish|hope|dream|bet|guess)\b",
    r"\b(?:wish|hoping|hopefully|fingers crossed)\b", r"\bwould (?:be|have|love|like|make)\b",
    r"\bi'd (?:love|like|say|bet|guess|rather)\b", r"\bshould have\b", r"\bcould have\b",
    r"\bmust be (?:at least|like|around)\b", r"\bi(?:'m| am) (?:guessing|betting|dreaming)\b",
    r"\bmy (?:guess|bet|prediction|hunch|theory|money is)\b", r"\bpredict(?:ion|ing|s)?\b",
    r"\bi (?:think|reckon|suspect|assume|believe|imagine|heard|feel like)\b",
    r"\b(?:someone|somebody|a friend|people|they|everyone|some) (?:says?|said|told|keep saying)\b",
    r"\b(?:heard|hear|hearing) (?:that|from|about)\b", r"\bbig if true\b",
    r"\bin my opinion\b", r"\bimo\b", r"\bimho\b", r"\bfeels? like\b", r"\bpetition\b",
    r"\b(?:still |remains |is |are |yet )?(?:unknown|unclear|undecided(?!\W+\d)|tba|tbc)\b",
    r"\bnot (?:yet )?(?:known|decided|clear|sure)\b", r"\bto be (?:announced|confirmed|decided)\b",
    r"\bwon(?:'|\u2019)?t be surprised\b", r"\b(?:debunk|hoax|satire|parody|joking|jk|april fool)",
)  # fmt: skip
# Stems that only look as if they were made from a shorter one.
ROOTS: Final = word_set("counter corner former master signal number letter matter poster")
# Which number of several is meant; each with the words that say the same.
QUALIFIERS: Final = {
    "final": "end ended finish finished last result concluded done",
    "top": "maximum max fastest peak record highest up limit", "average": "mean typical per",
    "mean": "average", "median": "median", "maximum": "max most peak top limit up highest cap",
    "minimum": "min least lowest from", "peak": "maximum max highest record top",
}  # fmt: skip
# Words by which a name is given.
NAMING: Final = word_set(
    """call name dub christen baptise baptize nickname title rename entitle pen known meet
    introduce welcome voted"""
)
RESULTS: Final = word_set("win lose draw beat defeat thrash edge tie overcome triumph rout")
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
    "number": """level concentration number count total population attendance turnout capacity
        magnitude size score loss goodput throughput temperature quantity tally figure rating rank
        pressure circulation mileage wattage voltage frequency seating record mfu""",
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
NAMED: Final = word_set(
    """team club player company firm airline brand band artist singer actor author writer scientist
    politician party candidate driver rider runner athlete winner country nation city town
    village state county region province district neighbourhood street road avenue station
    stop airport bridge river lake mountain island school university college hospital museum
    library theatre cinema stadium park restaurant cafe bar pub shop store hotel church bank
    app website language newspaper magazine channel show film movie song album book game
    model device phone car bus train line route ship vessel ferry spacecraft rocket
    satellite planet storm hurricane award prize festival agency organisation organization
    department ministry chef coach director minister mayor president researcher person
    character day month year
    """
)
COLOURS: Final = word_set(
    """red orange yellow green blue purple violet pink brown black white grey gray silver gold
    golden teal turquoise navy maroon beige cream crimson scarlet magenta cyan indigo lilac
    lavender amber copper bronze olive lime coral salmon burgundy ochre mint khaki mustard
    peach emerald ivory
    """
)
ROLES: Final = word_set(
    """police officers firefighters council councillors government ministry minister mayor
    president company owner owners manager director team club volunteers residents students
    teachers pupils workers drivers staff union judge court jury engineers scientists
    researchers doctors nurses committee board chef coach captain committee parents children
    neighbours charity agency university school department crew pilot army navy hikers
    walkers climbers fans passengers farmers contractor operator organisers organizers
    spokesperson spokeswoman spokesman teenager man woman boy girl couple family neighbour
    dog cat
    """
)
PLACES: Final = word_set(
    """street road avenue lane square park bridge station stadium hall school library museum
    theatre hospital airport harbour harbor beach river lake canal market centre center
    downtown town city village county district quay pier platform stage room floor building
    garden church campus warehouse factory depot site tunnel motorway junction roundabout
    court club pub cafe restaurant shop mall hotel terminal gate garage cinema arena gym
    pool field forest hill mountain island coast bay valley crossing corner basement rooftop
    lot online zoom entrance lobby foyer north south east west
    """
)
IRREGULAR: Final = {
    pair.partition(":")[0]: pair.partition(":")[2]
    for pair in word_set(
        """won:win sold:sell bought:buy broke:break broken:break stole:steal stolen:steal
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
    wien:vienna münchen:munich köln:cologne genève:geneva genf:geneva roma:rome
    milano:milan københavn:copenhagen köpenhamn:copenhagen kopenhagen:copenhagen praha:prague
    prag:prague lisboa:lisbon bruxelles:brussels brüssel:brussels brussel:brussels
    warszawa:warsaw moskau:moscow venezia:venice venedig:venice firenze:florence torino:turin
    napoli:naples zürich:zurich göteborg:gothenburg antwerpen:antwerp sevilla:seville
    brought:bring hung:hang swung:swing spun:spin slid:slide sped:speed bound:bind clung:cling
    crept:creep flung:fling knelt:kneel leapt:leap sewn:sew shrank:shrink shrunk:shrink slain:slay
    sown:sow spat:spit sprang:spring sprung:spring stung:sting stank:stink swore:swear sworn:swear
    wept:weep wove:weave woven:weave wrung:wring bent:bend blew:blow blown:blow borne:bear
    bore:bear drank:drink drunk:drink fled:flee forbidden:forbid forgave:forgive forgiven:forgive
    ground:ground hidden:hide hurt:hurt shod:shoe stricken:strike strove:strive trod:tread
    undone:undo undertook:undertake understood:understand upheld:uphold
    arose:arise arisen:arise awoke:awake befell:befall bade:bid heaviest:heavy lightest:light
    closest:close nearest:near farthest:far furthest:far highest:high lowest:low longest:long
    shortest:short fastest:fast slowest:slow oldest:old youngest:young newest:new cheapest:cheap
    dearest:dear deepest:deep warmest:warm coldest:cold hottest:hot strongest:strong
    opened:open opening:open programme:program colour:color centre:center theatre:theater
    harbour:harbor neighbour:neighbor labour:labor favourite:favorite tyre:tire kerb:curb
    grey:gray cancelled:cancel cancellation:cancel cancels:cancel"""
    )
}
# Verbs of one class may tell of the same happening where all else agrees; opposites never do.
