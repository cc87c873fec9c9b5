SELECT 'a\';
SET standard_conforming_strings = off;
SELECT 'b\'; c', E'd\'; e', U&'f\', B'1\', N'g\'; h';
SET standard_conforming_strings TO on; SELECT 'still off\'; on this line';
SELECT 'i\';
SELECT 'no semicolon at the end'
