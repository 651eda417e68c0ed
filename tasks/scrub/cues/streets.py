"""Word lists of addresses: suffixes, prefixes and endings of street names, units, regions and countries.

Sources: the suffixes are USPS Publication 28, appendix C1 (public domain), shortened and full forms; regions are the
ISO 3166-2 codes of the United States, Canada and Australia; the words of other languages were written for this module.
"""

from tasks.scrub.cues.lexicon import listed

# Suffixes that always mean a street; the rest of appendix C1 has other meanings as well.
STREET = listed(
    """
    street st str strt ave avenue av aven avenu road rd blvd boulevard boul boulv lane ln drive dr drv terrace
    ter terr highway hwy hiway hiwy parkway pkwy pky expressway expy freeway fwy turnpike tpke alley aly
    crescent cres causeway cswy circle cir circ court ct ctr courts cts place pl plaza plz square sq sqr trail
    trl route rte way wy pike loop mews nagar marg salai veedhi chowk gardens close walk row quay esplanade
    promenade utca út tér körút sokak sok cad caddesi mahallesi mah bulvari tänav ulica ulice plads allé vei väg
    weg platz str enparantza maantee puiestee tee út tér rkp krt köz u straat laan weg gracht kade plein strasse
    straße gasse allee platz gatan vägen gata vegen vej gade tie katu
    """
)
WEAK_STREET = listed(
    """
    annex arcade bayou beach bend bluff bluffs bottom branch bridge brook brooks burg burgs bypass camp canyon
    cape center centers centre circles cliff cliffs club common commons corner corners course cove coves creek
    crest crossing crossroad crossroads curve dale dam divide drives estate estates extension extensions fall
    falls ferry field fields flat flats ford fords forest forge forges fork forks fort garden gateway glen glens
    green greens grove groves harbor harbors haven heights hill hills hollow inlet island islands isle junction
    junctions key keys knoll knolls lake lakes land landing light lights loaf lock locks lodge mall manor manors
    meadow meadows mill mills mission motorway mount mountain mountains neck orchard oval overpass park parks
    parkways pass passage path pine pines plain plains plazas point points port ports prairie radial ramp ranch
    rapid rapids rest ridge ridges river roads run shoal shoals shore shores skyway spring springs spur spurs
    squares station stravenue stream streets summit throughway trace track trafficway tunnel underpass union
    unions valley valleys viaduct view views village villages ville vista walks wall ways well wells complex
    colony layout phase sector cross main palayam pettai puram tower towers house apartments apartment heights
    residency enclave extn chambers
    """
)
PREFIX = listed(
    """
    rua avenida av travessa praça praca largo alameda estrada rodovia calle carrera cra cl plaza plazuela paseo
    pasaje camino carretera ronda callejón avda rue boulevard chemin impasse allée allee quai route cours via
    viale vicolo piazza piazzetta piazzale corso largo strada contrada lungomare ul aleja osiedle plac pl
    náměstí nám ulitsa улица ул проспект пр οδός οδος λ λεωφόρος strada str bulevardul calea aleea jalan jl jln
    gang lorong ulitza straße strasse rúa carrer nábřeží třída tř cesta trg kralja πλατεία μητροπολίτη
    """
)
# Endings of fused street names in Germanic, Nordic, Baltic, Hungarian and Slavic spelling.
FUSED = listed(
    """
    straat laan gracht kade plein dijk weg steeg singel hof straße strasse gasse allee platz damm gatan vägen
    gränd gata vegen veien gate vej vei gade allé alléen stræde stien katu tie polku kuja raitti stígur vegur
    braut brautin utca ulica torget plassen bakken svingen gården toften marken lunden stigen gränden väg
    puiestee
    """
)
UNIT = listed(
    """
    apt apartment apts suite ste unit flat room rm floor fl bldg building block lot tower psc door plot villa
    house hno shop dept appartement app wohnung piso depto oficina interno lgh leilighet kv byt
    """
)
# Endings of fused words that are a street even without a number.
FUSED_ALONE = listed("straat gracht straße strasse gatan vägen gade katu vej")
BOX = listed("box postbox postboks postfach apartado postbus casilla pobox")
MILITARY = listed("apo fpo dpo")
REGIONS = listed(
    """
    al ak az ar ca co ct de fl ga hi id il in ia ks ky la me md ma mi mn ms mo mt ne nv nh nj nm ny nc nd oh ok
    or pa ri sc sd tn tx ut vt va wa wv wi wy dc pr gu vi as mp fm mh pw aa ae ap on qc bc ab mb sk ns nb nl pe
    yt nt nu nsw vic qld sa tas act alabama alaska arizona arkansas california colorado connecticut delaware
    florida georgia hawaii idaho illinois indiana iowa kansas kentucky louisiana maine maryland massachusetts
    michigan minnesota mississippi missouri montana nebraska nevada hampshire jersey mexico york carolina dakota
    ohio oklahoma oregon pennsylvania tennessee texas utah vermont virginia washington wisconsin wyoming ontario
    quebec alberta manitoba saskatchewan
    """
)
# English one-word names of countries (ISO 3166-1), and the last words of longer names.
COUNTRIES = listed(
    """
    usa uk uae us america england scotland wales afghanistan albania algeria andorra angola argentina armenia
    australia austria azerbaijan bahamas bahrain bangladesh barbados belarus belgium belize benin bhutan bolivia
    botswana brazil brunei bulgaria burundi cambodia cameroon canada chad chile china colombia comoros congo
    croatia cuba cyprus czechia denmark djibouti dominica ecuador egypt eritrea estonia eswatini ethiopia fiji
    finland france gabon gambia georgia germany ghana greece greenland grenada guam guatemala guinea guyana
    haiti honduras hungary iceland india indonesia iran iraq ireland israel italy jamaica japan jersey jordan
    kazakhstan kenya kiribati kosovo kuwait kyrgyzstan laos latvia lebanon lesotho liberia libya liechtenstein
    lithuania luxembourg macao madagascar malawi malaysia maldives mali malta martinique mauritania mauritius
    mexico moldova monaco mongolia montenegro morocco mozambique myanmar namibia nauru nepal netherlands
    nicaragua niger nigeria niue norway oman pakistan palau panama paraguay peru philippines poland portugal
    qatar romania russia rwanda samoa senegal serbia seychelles singapore slovakia slovenia somalia spain sudan
    suriname swaziland sweden switzerland syria taiwan tajikistan tanzania thailand togo tonga tunisia turkey
    turkmenistan tuvalu uganda ukraine uruguay uzbekistan vanuatu venezuela vietnam yemen zambia zimbabwe
    emirates kingdom macedonia rica states zealand korea arabia republic islands
    """
)
PARTICLES = listed(
    """
    de la le les du des del della dello di degli dei dalla dallo alla da dos das do van der den het ten ter op
    von vom zur zum of el los las al och nad pod
    """
)
# Prefixes that are also English words or names: they count only with a capital letter.
CAPITAL_PREFIX = listed("via cl pl corso largo camino plaza route strada str cap av")
# Words that turn a number into a place inside something else, not a street.
NO_STREET = listed(
    """
    terminal gate platform level phase section chapter page version windows iphone ipad galaxy pixel playstation
    xbox grade step option line zone day week pier track exit interstate channel act article table group season
    episode model series formula area monday tuesday wednesday thursday friday saturday sunday mon tue wed thu
    fri sat sun office covid title top world war
    """
)
AFTER_ADDRESS = listed(
    """
    verification proof book field line page form bar validation option label labels on me us him her them you
    """
)
