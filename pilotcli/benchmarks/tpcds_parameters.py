"""Which constants of the 99 queries of TPC-DS are parameters, and what they are drawn from.

A line of the table has a query's number (or the numbers of several queries; none: those of the
line before), a domain, and the constants, as they are in DuckDB's texts. Two spaces or more
separate the three. A line that begins with `|` continues the line before.

Constants: `|` separates those that are drawn each for itself, all different. `&` connects those
that move together: the first is drawn, and the others keep their distance to it, in days or units
(with a domain of several columns, each has a column's value). A constant is `'in quotes'`, a bare
word, or in braces after what makes it unique in the text (`d_moy = {11}`). A place with several
braces has several constants. Each `#` is a digit: all such constants. Each constant is replaced
wherever it is.

Domains: `1998..2002` is a range of integers, `01-01..07-24` of days in a year,
`1998..2002/08-01..08-30` of days in those years, `1999..2002/02..05` of first days of months.
`a,b` and the names of `CHOICES` are lists. Else a column of the data, with a condition or not:
`i_color`, `i_manufact_id >= 667`. `ca_state/ca_county` has a row for each combination of both: a
state is as likely as its share of counties.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

STORE_SALES_FIFTH = "1..store_sales/5"
"""A domain: integers up to a fifth of the number of rows in `store_sales`."""

_LISTS = {
    "aggregates": "sum min max avg stddev_samp",
    "returned amounts": (
        "sr_return_amt sr_fee sr_refunded_cash sr_return_amt_inc_tax sr_reversed_charge"
        " sr_store_credit sr_return_tax"
    ),
    "sold amounts": "ss_ext_sales_price ss_sales_price ss_ext_discount_amt ss_net_profit",
    "list amounts": "ss_ext_discount_amt ss_ext_sales_price ss_ext_list_price ss_ext_tax",
    "net amounts": "ss_net_paid ss_net_paid_inc_tax ss_net_profit",
    "paid amounts": (
        "ss_net_paid ss_net_paid_inc_tax ss_net_profit ss_sales_price ss_ext_sales_price"
    ),
    "customer columns": (
        "t_s_secyear.customer_preferred_cust_flag t_s_secyear.customer_birth_country"
        " t_s_secyear.customer_login t_s_secyear.customer_email_address"
    ),
    "web nets": (
        "ws_net_paid ws_net_paid_inc_tax ws_net_paid_inc_ship ws_net_paid_inc_ship_tax"
        " ws_net_profit"
    ),
    "catalog nets": (
        "cs_net_paid cs_net_paid_inc_tax cs_net_paid_inc_ship cs_net_paid_inc_ship_tax"
        " cs_net_profit"
    ),
    "buyers": "ss_customer_sk ss_cdemo_sk ss_hdemo_sk ss_addr_sk ss_promo_sk",
    "store keys": "ss_customer_sk ss_cdemo_sk ss_hdemo_sk ss_addr_sk ss_store_sk ss_promo_sk",
    "catalog keys": (
        "cs_bill_customer_sk cs_bill_hdemo_sk cs_bill_addr_sk cs_ship_customer_sk"
        " cs_ship_cdemo_sk cs_ship_hdemo_sk cs_ship_addr_sk cs_ship_mode_sk cs_warehouse_sk"
        " cs_promo_sk"
    ),
    "web keys": (
        "ws_bill_customer_sk ws_bill_hdemo_sk ws_bill_addr_sk ws_ship_customer_sk"
        " ws_ship_cdemo_sk ws_ship_hdemo_sk ws_ship_addr_sk ws_web_page_sk ws_web_site_sk"
        " ws_ship_mode_sk ws_warehouse_sk ws_promo_sk"
    ),
}
CHOICES = {name: tuple(words.split()) for name, words in _LISTS.items()}
"""Lists of columns and functions, by the name that they have in the table."""

_TABLE = """
1   1998..2002                  2000
    s_state                     'TN'
    returned amounts            sr_return_amt
2   1998..2001                  2001
3   i_manufact_id               128
    11..12                      d_moy={11}
    sold amounts                ss_ext_sales_price
4,11  1998..2001                2001
    customer columns            t_s_secyear.customer_preferred_cust_flag
5   1998..2002/08-01..08-30     2000-08-23 & 2000-09-06
6   1998..2002                  2001
    1..7                        d_moy = {1}
7,26  cd_gender                 'M'
    cd_marital_status           'S'
    cd_education_status         'College'
    1998..2002                  2000
8   ca_zip                      '#####'
    1..2                        d_qoy = {2}
    1998..2002                  1998
9   1..store_sales/5            74129 | 122840 | 56580 | 10097 | 165306
    list amounts                ss_ext_discount_amt
    net amounts                 ss_net_paid
10  ca_county                   'Rush County' | 'Toole County' | 'Jefferson County'
                                | 'Dona Ana County' | 'La Porte County'
    1999..2002                  2002
    1..4                        d_moy BETWEEN {1} & AND {1}+3
12,20,98  i_category            'Sports' | 'Books' | 'Home'
    1998..2002/01-01..07-01     1999-02-22 & 1999-03-24
13  cd_marital_status           'M' | 'S' | 'W'
    cd_education_status         'Advanced Degree' | 'College' | '2 yr Degree'
    ca_state/ca_county          '{TX}', '{OH}', '{TX}' | '{OR}', '{NM}', '{KY}'
                                | '{VA}', '{TX}', '{MS}'
14  1998..2000                  1999
15  1..2                        d_qoy = {2}
    1998..2002                  2001
16  1999..2002/02..05           2002-02-01 & 2002-04-02
    ca_state/ca_county          'GA'
    cc_county                   'Williamson County'
17  1998..2002                  {2001}Q
18  cd_gender                   'F'
    cd_education_status         'Unknown'
    1..12                       IN ({1}, {6}, {8}, {9}, {12}, {2})
    1998..2002                  1998
    ca_state/ca_county          ('{MS}', '{IN}', '{ND}', '{OK}', '{NM}', '{VA}', '{MS}')
19  i_manager_id                i_manager_id={8}
    11..12                      d_moy={11}
    1998..2002                  1998
21,40  1998..2002/01-31..07-01  2000-03-11 & 2000-02-10 & 2000-04-10
22,38,51,53,62,63,67,70,86,87,97,99  1176..1224  1200
23  1998..2000                  2000
    1..7                        d_moy = {2}
24  s_market_id                 s_market_id={8}
    i_color                     'peach'
    paid amounts                ss_net_paid
25  1998..2002                  2001
    aggregates                  sum
27  cd_gender                   'M'
    cd_marital_status           'S'
    cd_education_status         'College'
    1998..2002                  2002
    s_state                     'TN'
28  0..190                      BETWEEN {8} & AND {8}+10 | BETWEEN {90} & AND {90}+10
                                | BETWEEN {142} & AND {142}+10 | BETWEEN {135} & AND {135}+10
                                | BETWEEN {122} & AND {122}+10 | BETWEEN {154} & AND {154}+10
    0..18000                    459 | 2323 | 12214 | 6071 | 836 | 7326
    0..80                       BETWEEN {57} & AND {57}+20 | BETWEEN {31} & AND {31}+20
                                | BETWEEN {79} & AND {79}+20 | BETWEEN {38} & AND {38}+20
                                | BETWEEN {17} & AND {17}+20 | BETWEEN {7} & AND {7}+20
29  1998..2000                  1999
    aggregates                  sum
30  1999..2002                  2002
    ca_state/ca_county          'GA'
31  1998..2002                  2000
32  i_manufact_id               977
    1998..2002/01-01..04-01     2000-01-27 & 2000-04-26
33  Books,Home,Electronics,Jewelry,Sports  'Electronics'
    1998..2002                  1998
    1..7                        d_moy = {5}
    s_gmt_offset                -5
34  1001-5000,>10000,501-1000   '>10000'
    0-500,Unknown,5001-10000    'Unknown'
    1998..2000                  1999
    s_county                    'Williamson County'
35  1999..2002                  2002
    aggregates                  {min}(cd
    aggregates                  {max}(cd
    aggregates                  {avg}(cd
36  1998..2002                  2001
    s_state                     'TN'
37  10..70                      68
    1998..2002/01-01..07-24     2000-02-01 & 2000-04-01
    i_manufact_id >= 667        677 | 940 | 694 | 808
39  1998..2002                  2001
    1..4                        d_moy={1}
41  667..1000                   738
    i_color                     'powder' | 'khaki' | 'brown' | 'honeydew' | 'floral' | 'deep'
                                | 'light' | 'cornflower' | 'midnight' | 'snow' | 'cyan' | 'papaya'
                                | 'orange' | 'frosted' | 'forest' | 'ghost'
    i_units                     'Ounce' | 'Oz' | 'Bunch' | 'Ton' | i_units = '{N/A}' | 'Dozen'
                                | 'Box' | 'Pound' | 'Pallet' | 'Gross' | 'Cup' | 'Dram'
                                | 'Each' | 'Tbl' | 'Lb' | 'Bundle'
    i_size                      'medium' | 'extra large' | i_size = '{N/A}' | 'small'
                                | (i_size = '{petite}' | OR i_size = '{petite}'
42,52  11..12                   d_moy={11}
    1998..2002                  2000
43  s_gmt_offset                -5
    1998..2002                  2000
44  s_store_sk                  ss_store_sk = {4}
    buyers                      ss_addr_sk
45  ca_city,ca_county,ca_state  ca_city
    1..2                        d_qoy = {2}
    1998..2002                  2001
46,68  0..9                     hd_dep_count = {4}
    -1..4                       hd_vehicle_count= {3}
    1998..2000                  1999
    s_city                      'Fairview' | 'Midway'
47,57  1999..2001               1999
48  cd_marital_status           'M' | 'D' | 'S'
    cd_education_status         '4 yr Degree' | '2 yr Degree' | 'College'
    ca_state/ca_county          'CO' | 'OH' | 'TX' | 'OR' | 'MN' | 'KY' | 'VA' | 'CA' | 'MS'
    1998..2002                  d_year = {2000}
49  1998..2002                  2001
    11..12                      d_moy = {12}
50  1998..2002                  2001
    8..10                       d_moy = {8}
54  i_category/i_class          'Women' & 'maternity'
    1..7                        d_moy = {12}
    1998..2002                  1998
55  i_manager_id                28
    11..12                      d_moy={11}
    1998..2002                  1999
56  i_color                     'slate' | 'blanched' | 'burnished'
    1998..2002                  2001
    1..7                        d_moy = {2}
    ca_gmt_offset/ca_county     -5
58  1998..2002/01-01..07-24     2000-01-03
59  1176..1212                  1212
60  Children,Men,Music,Jewelry,Shoes  'Music'
    1998..2002                  1998
    8..10                       d_moy = {9}
    ca_gmt_offset/ca_county     -5
61  Books,Home,Electronics,Jewelry,Sports  'Jewelry'
    s_gmt_offset                -5
    1998..2002                  1998
    11..12                      d_moy = {11}
64  i_color                     'purple' | 'burlywood' | 'indian' | 'spring' | 'floral' | 'medium'
    0..85                       64
    1999..2001                  1999
65  1176..1224                  1176
66  1998..2002                  2001
    1..57597                    30838
    sm_carrier                  'DHL' & '{DHL},BARIAN' | 'BARIAN' & 'DHL,{BARIAN}'
    web nets                    ws_net_paid
    catalog nets                cs_net_paid_inc_tax
    ws_sales_price,ws_ext_sales_price,ws_ext_list_price  ws_ext_sales_price
    cs_sales_price,cs_ext_sales_price,cs_ext_list_price  cs_sales_price
69  ca_state/ca_county          'KY' | 'GA' | 'NM'
    1999..2002                  2001
    1..4                        d_moy BETWEEN {4} & AND {4}+2
71  1998..2002                  1999
    11..12                      d_moy={11}
72  1001-5000,>10000,501-1000   '>10000'
    1998..2002                  1999
    cd_marital_status           'D'
73  1001-5000,>10000,501-1000   '>10000'
    0-500,Unknown,5001-10000    'Unknown'
    1998..2000                  1999
    s_county                    'Orange County' | 'Bronx County' | 'Franklin Parish'
                                | 'Williamson County'
74  1998..2001                  2001
    aggregates                  sum
75  i_category                  'Books'
    1999..2002                  2002
76  store keys                  ss_store_sk
    web keys                    ws_ship_customer_sk
    catalog keys                cs_ship_addr_sk
77,80  1998..2002/08-01..08-30  2000-08-23 & 2000-09-22
78  1998..2002                  2000
79  0..9                        hd_dep_count = {6}
    -1..4                       hd_vehicle_count > {2}
    1998..2000                  1999
81  1998..2002                  2000
    ca_state/ca_county          'GA'
82  0..90                       62
    1998..2002/01-01..07-24     2000-05-25 & 2000-07-24
    i_manufact_id               129 | 270 | 821 | 423
83  1998..2002                  '{2000}-06-30 & '{2000}-09-27 & '{2000}-11-17
    01-01..07-24                2000-{06-30}
    08-01..10-24                2000-{09-27}
    11-01..11-24                2000-{11-17}
84  ca_city                     'Edgewood'
    0..70000                    38128
85  cd_marital_status           'M' | 'S' | 'W'
    cd_education_status         'Advanced Degree' | 'College' | '2 yr Degree'
    ca_state/ca_county          'IN' | 'OH' | 'NJ' | 'WI' | 'CT' | 'KY' | 'LA' | 'IA' | 'AR'
    1998..2002                  2000
88  -1..4                       hd_dep_count = {4} & <={4}+2 | hd_dep_count = {2} & <={2}+2
                                | hd_dep_count = {0} & <={0}+2
    s_store_name                'ese'
89  i_category/i_class          'Books' & 'computers' | 'Electronics' & 'stereo'
                                | 'Sports' & 'football' | 'Men' & 'shirts' | 'Jewelry' & 'birdal'
                                | 'Women' & 'dresses'
    1998..2002                  1999
90  0..9                        hd_dep_count = {6}
    6..12                       BETWEEN {8} & AND {8}+1
    13..21                      BETWEEN {19} & AND {19}+1
91  1998..2002                  1998
    11..12                      d_moy = {11}
    hd_buy_potential            '{Unknown}%
    -6,-7                       -7
92  i_manufact_id               350
    1998..2002/01-01..04-01     2000-01-27 & 2000-04-26
93  r_reason_desc               'reason 28'
94,95  1999..2002/02..05        1999-02-01 & 1999-04-02
    ca_state/ca_county          'IL'
    web_company_name            'pri'
96  20,15,16,8                  20
    0..9                        hd_dep_count = {7}
    s_store_name                'ese'
"""

_BRACES = re.compile(r"\{(.*?)\}")


@dataclass(frozen=True, slots=True)
class Place:
    """A constant: a pattern for where it is in a text, and which of the pattern's groups it is."""

    constant: str
    pattern: re.Pattern[str]
    group: int = 1


@dataclass(frozen=True, slots=True)
class Parameter:
    """Values of one domain, and for each value the places of the constants that move with it."""

    domain: str
    values: tuple[tuple[Place, ...], ...]


@functools.cache
def parameters() -> Mapping[int, tuple[Parameter, ...]]:
    """Returns the parameters of each query by its number."""
    return read_table(_TABLE)


def read_table(table: str) -> dict[int, tuple[Parameter, ...]]:
    """Returns the parameters of a table, by the numbers of its queries."""
    found: dict[int, tuple[Parameter, ...]] = {}
    numbers: list[int] = []
    for line in re.sub(r"\n +\|", " |", table).strip().splitlines():
        listed, domain, constants = re.split(r" {2,}", line, maxsplit=2)
        numbers = [int(number) for number in listed.split(",") if number] or numbers
        values = [value for text in constants.split(" | ") for value in _values(text)]
        for number in numbers:
            found[number] = (*found.get(number, ()), Parameter(domain, tuple(values)))
    return found


def _values(text: str) -> Iterator[tuple[Place, ...]]:
    """Yields the places of each value that `text` has."""
    connected = [_places(place) for place in text.split(" & ")]
    if len(connected) > 1:
        yield tuple(place for places in connected for place in places)
    else:
        yield from ((place,) for place in connected[0])


def _places(text: str) -> list[Place]:
    if "{" not in text:
        text = f"'{{{text[1:-1]}}}'" if text.startswith("'") else f"{{{text}}}"
    pattern = ""
    for number, part in enumerate(_BRACES.split(text)):
        escaped = re.escape(part).replace(r"\#", r"\d")
        pattern += f"({escaped})" if number % 2 else escaped.replace(r"\ ", r"\s+")
    before = r"(?<![\w.])" if text.startswith("{") else ""
    after = r"(?![\w.])" if text.endswith("}") else ""
    whole = re.compile(before + pattern + after)
    return [
        Place(constant, whole, group) for group, constant in enumerate(_BRACES.findall(text), 1)
    ]
